"""Straight to a team: the first matching rule of the agent, ticket and acknowledgement, and no model."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core import mail

from agents.models import RoutingRule
from conversations import outbox
from conversations.models import Conversation, Message, OutboxItem, Ticket, Turn
from orgs.models import Organization, Team
from sessions.models import Company, EndUser
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel


def rule(cast: Cast, **fields: Any) -> RoutingRule:
    team, _ = Team.objects.get_or_create(org=cast.acme.org, name="Billing", defaults={"email": "billing@acme.example"})
    values: dict[str, Any] = {"name": "Money", "acknowledgement": "Billing will write to you."}
    return RoutingRule.objects.create(org=cast.acme.org, agent=cast.acme.agent, team=team, **{**values, **fields})


def test_a_matching_message_goes_to_the_team_and_no_model_is_called(
    visitor: Visitor, cast: Cast, model: FakeModel
) -> None:
    made = rule(cast, phrases="refund\nchargeback")

    answer = visitor.told("I want a REFUND, now!")

    ticket = Ticket.objects.get()
    assert answer["text"] == "Billing will write to you."
    assert answer["routing"] == {"action": "route_to_team", "ticket_id": str(ticket.pk)}
    assert answer["confidence"] is None and answer["citations"] == []
    assert answer["actions"] == [{"type": "create_ticket", "ticket_id": str(ticket.pk)}]
    assert not model.requests
    assert (ticket.team.name, ticket.number, ticket.message) == ("Billing", 1, "I want a REFUND, now!")  # type: ignore[union-attr]
    turn = Turn.objects.get()
    assert (turn.status, turn.outcome, turn.routing_rule) == ("done", "routed", made)
    assert Message.objects.get(pk=answer["message_id"]).text == "Billing will write to you."
    assert Conversation.objects.get().outcome == "routed"


def test_a_message_that_matches_nothing_goes_to_the_agent(visitor: Visitor, cast: Cast) -> None:
    rule(cast, phrases="refund")
    rule(cast, phrases="", conditions=[])
    rule(cast, phrases="hello", is_active=False)

    for message in ("hello", "refunding is not the word", "prerefund"):
        assert "routing" not in visitor.told(message)


def test_the_first_matching_rule_wins(visitor: Visitor, cast: Cast) -> None:
    rule(cast, phrases="refund", acknowledgement="second", position=2)
    rule(cast, phrases="refund", acknowledgement="first", position=1)

    assert visitor.told("refund")["text"] == "first"


def test_a_new_rule_is_seen_by_the_very_next_request(visitor: Visitor, cast: Cast) -> None:
    assert "routing" not in visitor.told("refund")
    made = rule(cast, phrases="refund")
    assert "routing" in visitor.told("refund")
    RoutingRule.objects.filter(pk=made.pk).delete()
    assert "routing" not in visitor.told("refund")


@pytest.mark.parametrize(
    ("conditions", "routed"),
    [
        ([{"source": "user", "key": "plan", "op": "is", "value": "Gold"}], True),
        ([{"source": "user", "key": "plan", "op": "is_not", "value": "gold"}], False),
        ([{"source": "user", "key": "seats", "op": "gt", "value": 10}], True),
        ([{"source": "user", "key": "seats", "op": "lt", "value": 10}], False),
        ([{"source": "company", "key": "name", "op": "contains", "value": "wayne"}], True),
        ([{"source": "context", "key": "cart", "op": "exists"}], True),
        ([{"source": "context", "key": "cart", "op": "is", "value": "full"}], True),
        ([{"source": "context", "key": "other", "op": "missing"}], True),
        ([{"source": "request", "key": "mode", "op": "is", "value": "voice"}], False),
        ([{"source": "message", "op": "contains", "value": "HELLO"}], True),
        (
            [
                {"source": "user", "key": "plan", "op": "is", "value": "gold"},
                {"source": "user", "key": "plan", "op": "is", "value": "silver"},
            ],
            False,
        ),
    ],
)
def test_conditions_look_at_user_company_context_and_request(
    visitor: Visitor, acme: Organization, cast: Cast, conditions: list[dict[str, Any]], routed: bool
) -> None:
    company = Company.objects.create(org=acme, external_id="c1", name="Wayne Corp")
    EndUser.objects.create(org=acme, external_id="u1", company=company, custom_fields={"seats": 12})
    rule(cast, conditions=conditions)

    answer = visitor.told(
        user_id="u1", custom_fields={"plan": "gold"}, context={"cart": {"label": "Cart", "value": "full"}}
    )

    assert ("routing" in answer) is routed


def test_a_rule_of_another_agent_or_organisation_does_not_count(
    visitor: Visitor, stranger: Visitor, cast: Cast
) -> None:
    rule(cast, phrases="refund")

    assert "routing" in visitor.told("refund")
    assert "routing" not in stranger.told("refund")


def test_the_team_gets_one_mail_a_ticket_through_the_outbox(visitor: Visitor, cast: Cast) -> None:
    rule(cast, phrases="refund")
    visitor.told("refund\r\nBcc: everyone@example.com", headers={"Idempotency-Key": "k" * 16})
    visitor.told("refund\r\nBcc: everyone@example.com", headers={"Idempotency-Key": "k" * 16})

    outbox.send_due()
    # The worker may have been quicker, and be at it right now.
    for _ in range(100):
        if OutboxItem.objects.filter(done_at__isnull=False).exists():
            break
        time.sleep(0.05)

    (sent,) = mail.outbox
    assert sent.to == ["billing@acme.example"] and sent.recipients() == ["billing@acme.example"]
    assert "\n" not in sent.subject
    assert OutboxItem.objects.get().done_at is not None
