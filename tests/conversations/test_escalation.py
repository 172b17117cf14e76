"""Calling in people, over HTTP with a fake model: modes and signs, audience, priority, teams and their hours."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from agents.models import RoutingRule
from agents.services import change_agent
from conversations.models import Conversation, Ticket, Turn
from orgs.hours import DAYS
from orgs.models import Team
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel

PASSED_ON = "I have passed this on to our team."
AWAY = "Our team is away at the moment."
GOLD = {"source": "user", "key": "plan", "op": "is", "value": "gold"}
HUMAN = "I want to talk to a human"
NEVER_THERE = {day: [] for day in DAYS}


def unnumbered(answer: dict[str, Any]) -> str:
    """An answer's text without the number of the ticket that it opened."""
    return re.sub(r"\n\nTicket #\d+\Z", "", answer["text"])


@pytest.fixture
def team(cast: Cast) -> Team:
    return Team.objects.create(org=cast.acme.org, name="Billing")


def set_up(cast: Cast, **fields: Any) -> None:
    agent = cast.acme.agent
    agent.refresh_from_db()
    for name, value in fields.items():
        setattr(agent, name, value)
    change_agent(agent=agent, names=fields, by=None)


def turn_of(answer: dict[str, Any]) -> Turn:
    return Turn.objects.get(messages__pk=answer["message_id"])


def test_a_sign_opens_a_ticket_for_the_team_and_the_answer_says_so(visitor: Visitor, cast: Cast, team: Team) -> None:
    set_up(cast, escalation_phrases="lawyer", escalation_team=team, priority=[GOLD])

    answer = visitor.told("My lawyer will call.", custom_fields={"plan": "Gold"})

    ticket = Ticket.objects.get()
    assert answer["text"].startswith("You said: My lawyer") and PASSED_ON in answer["text"]
    reason = "“lawyer” in the visitor's message."
    assert answer["actions"] == [{"type": "escalate", "reason": reason, "ticket_id": str(ticket.pk)}]
    assert (ticket.team, ticket.priority, ticket.source) == (team, "priority", "escalation")
    turn = turn_of(answer)
    assert turn.escalated and Conversation.objects.get().outcome == "escalated"
    assert turn.explanation["by"] == "phrase" and turn.explanation["team"] == "Billing"
    assert turn.explanation["ticket"] == ticket.number and turn.explanation["priority"] == ["user plan is “gold”"]


def test_one_conversation_has_one_open_ticket_which_gains_priority_and_never_loses_it(
    visitor: Visitor, cast: Cast
) -> None:
    set_up(cast, escalation_threshold=1.0, priority=[GOLD])
    first = visitor.told("Hello?")
    session = first["session_id"]
    assert Ticket.objects.get().priority == "normal"
    for plan in ("gold", "silver"):
        again = visitor.told("Still here", session_id=session, custom_fields={"plan": plan})
        assert again["actions"][0]["ticket_id"] == first["actions"][0]["ticket_id"]
        assert Ticket.objects.get().priority == "priority"
    Ticket.objects.update(status="resolved")
    visitor.told("And now", session_id=session)
    assert Ticket.objects.count() == 2


def test_in_off_mode_only_a_visitor_who_asks_is_passed_on(visitor: Visitor, cast: Cast) -> None:
    set_up(cast, escalation="off", escalation_threshold=1.0, escalation_phrases="lawyer")
    quiet = visitor.told("My lawyer says hello")
    assert quiet["actions"] == [] and PASSED_ON not in quiet["text"] and not Ticket.objects.exists()
    assert turn_of(quiet).explanation["result"] == "the agent hands over only where the visitor asks for it"
    assert PASSED_ON in visitor.told(HUMAN)["text"] and Ticket.objects.count() == 1


def test_conditional_waits_for_its_answers_and_the_model_is_told_not_to_promise(
    visitor: Visitor, cast: Cast, model: FakeModel
) -> None:
    set_up(cast, escalation="conditional", escalation_attempts=2)
    for text in ("Let me try.", "I have told somebody."):
        model.reply(tool_calls=[("escalate", {"reason": "Stuck."})]).reply(text)

    first = visitor.told("It fails")
    told = [message["content"] for message in model.requests[-1].messages if message["role"] == "tool"]
    assert "Do not promise a person" in told[-1]
    assert (first["text"], first["actions"]) == ("Let me try.", []) and not Ticket.objects.exists()
    assert turn_of(first).explanation["result"] == "answer 1 of 2: not yet"

    second = visitor.told("Still fails", session_id=first["session_id"])
    told = [message["content"] for message in model.requests[-1].messages if message["role"] == "tool"]
    assert "will be told" in told[-1]
    assert second["text"] == "I have told somebody." and second["actions"][0]["reason"] == "Stuck."


def test_who_is_not_in_the_audience_is_not_passed_on(visitor: Visitor, cast: Cast) -> None:
    set_up(cast, audience=[GOLD])
    assert visitor.told(HUMAN)["actions"] == []
    assert visitor.told(HUMAN, custom_fields={"plan": "gold"})["actions"] != []


def test_outside_the_teams_hours_the_answer_says_so_once(
    visitor: Visitor, cast: Cast, team: Team, model: FakeModel
) -> None:
    set_up(cast, escalation_team=team)
    assert AWAY not in visitor.told(HUMAN)["text"]

    # A change of the team is seen by the very next message.
    Team.objects.filter(pk=team.pk).update(hours=NEVER_THERE)
    away = visitor.told(HUMAN)
    number = Ticket.objects.order_by("-number").values_list("number", flat=True)[0]
    assert away["text"].endswith(f"A person will get back to you.\n\n{AWAY}\n\nTicket #{number}")
    assert turn_of(away).explanation["away"] == AWAY

    # A model that calls for a person is told, and where it does not say it, we do.
    for text, answered in (("Done.", f"Done.\n\n{AWAY}"), (f"Done. {AWAY}", f"Done. {AWAY}")):
        model.reply(tool_calls=[("escalate", {"reason": "Stuck."})]).reply(text)
        assert unnumbered(visitor.told("It fails")) == answered
        told = next(message["content"] for message in model.requests[-1].messages if message["role"] == "tool")
        assert AWAY in told
    # Nobody is called in: nothing is said about anybody's hours.
    assert AWAY not in visitor.told("Hello there")["text"]
    Team.objects.filter(pk=team.pk).update(away_text="Bald {wieder} da.")
    assert unnumbered(visitor.told(HUMAN)).endswith("\n\nBald {wieder} da.")


def test_an_apology_and_an_acknowledgement_say_so_too(
    visitor: Visitor, cast: Cast, team: Team, model: FakeModel
) -> None:
    set_up(cast, escalation_team=team, on_failure="polite", failure_text="Sorry, we took note.")
    Team.objects.filter(pk=team.pk).update(hours=NEVER_THERE)
    model.reply(status=400)
    apology = visitor.told("Hello")
    assert apology["text"] == f"Sorry, we took note.\n\n{AWAY}\n\nTicket #1"
    assert (turn_of(apology).explanation["by"], turn_of(apology).explanation["team"]) == ("failure", "Billing")

    RoutingRule.objects.create(
        org=cast.acme.org, agent=cast.acme.agent, team=team, name="Money", phrases="refund", acknowledgement="Noted."
    )
    assert visitor.told("refund")["text"] == f"Noted.\n\n{AWAY}\n\nTicket #2"
    Team.objects.filter(pk=team.pk).update(hours={day: ["00:00-24:00"] for day in DAYS})
    assert visitor.told("refund")["text"] == "Noted."


def test_staff_read_why_a_message_went_where_it_went(visitor: Visitor, cast: Cast, team: Team) -> None:
    def rule(name: str, position: int, **fields: Any) -> None:
        RoutingRule.objects.create(
            org=cast.acme.org, agent=cast.acme.agent, team=team, name=name, position=position, **fields
        )

    rule("VIPs", 1, conditions=[{"source": "user", "key": "plan", "op": "is", "value": "gold"}])
    rule("Sales", 2, phrases="quote")
    money = {"source": "page", "key": "path", "op": "starts_with", "value": "/billing"}
    rule("Money", 3, phrases="refund", conditions=[money], has_priority=True)
    rule("Zuletzt", 4, phrases="refund")
    set_up(cast, escalation="conditional", escalation_threshold=1.0)
    page = {"page": {"label": "Page", "value": "https://acme.example/billing/7"}}

    routed = visitor.told("A REFUND please", context=page, custom_fields={"plan": "silver"})
    assert Ticket.objects.get().priority == "priority"
    session = routed["session_id"]
    # The same matter has one ticket.
    again = visitor.told("refund?", session_id=session, context=page)
    assert again["actions"] == [] and again["routing"] == routed["routing"] and Ticket.objects.count() == 1
    quiet = visitor.told("Hello", session_id=visitor.told("Something else")["session_id"])

    client = Client()
    client.force_login(cast.ana, backend="django.contrib.auth.backends.ModelBackend")

    def transcript(answer: dict[str, Any]) -> str:
        at = reverse("admin:conversations_conversation_change", args=[turn_of(answer).conversation_id])
        return client.get(at).content.decode()

    said = transcript(routed)
    for sentence in (
        "Why this went to Billing",
        "Rule “Money” matched",
        "The message says “REFUND”.",
        "page path starts with “/billing” (it is “/billing/7”)",
        "On the page https://acme.example/billing/7",
        "Tried before it: rule “VIPs”, but not so: user plan is “gold” (it is “silver”).",
        "Tried before it: rule “Sales”, but none of its phrases is in the message.",
        "Ticket #1",
    ):
        assert sentence in said, sentence
    assert "Zuletzt" not in said
    assert "No handover: answer 1 of 2: not yet" in transcript(quiet)
    found = client.get(
        reverse("admin:conversations_conversation_changelist"), {"rule": str(RoutingRule.objects.get(name="Money").pk)}
    )
    assert "A REFUND please" in found.content.decode() and "Something else" not in found.content.decode()
