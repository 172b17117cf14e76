"""Built-in tools over HTTP: what is offered, what happens, and what the client is told of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conversations.models import OutboxItem, Ticket, ToolCall, Turn
from orgs.models import Organization, Team, WidgetKey
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.conversations.receiver import configure
from tests.fake_model import FakeModel

PAGE = {"Referer": "https://shop.example/cart"}
KEY = {"Idempotency-Key": "k" * 16}
REFUND = {"subject": "Refund", "message": "Order 4711 came broken.", "priority": "priority"}


def results(model: FakeModel) -> list[str]:
    """What the model was told of its calls, in its last request."""
    return [str(message["content"]) for message in model.requests[-1].messages if message["role"] == "tool"]


def offered(model: FakeModel) -> list[str]:
    return [tool["function"]["name"] for tool in model.requests[-1].body["tools"]]


def test_everything_built_in_is_offered_and_named_in_the_prompt(
    visitor: Visitor, model: FakeModel, prompt_of: Callable[[], str]
) -> None:
    visitor.told()

    assert offered(model) == ["search_knowledge", "escalate", "create_ticket", "highlight", "navigate"]
    assert all(f"- {name}:" in prompt_of() for name in offered(model))


def test_what_the_agent_may_not_do_is_neither_offered_nor_named_nor_done(
    visitor: Visitor, model: FakeModel, cast: Cast, prompt_of: Callable[[], str]
) -> None:
    configure(cast, may_open_tickets=False, may_guide=False, escalation="off")
    model.reply("", tool_calls=[("create_ticket", REFUND), ("navigate", {"url": "/a"}), ("escalate", {"reason": "x"})])
    model.reply("I can only search.")

    assert visitor.told()["actions"] == []
    assert offered(model) == ["search_knowledge"]
    assert "create_ticket" not in prompt_of() and "highlight" not in prompt_of()
    assert all("no tool with that name" in result for result in results(model))
    assert not Ticket.objects.exists()


def test_actions_are_listed_in_the_order_in_which_they_took_effect(
    visitor: Visitor, model: FakeModel, cast: Cast
) -> None:
    model.reply(
        "",
        tool_calls=[
            ("highlight", {"selector": " #reset ", "label": "Reset"}),
            ("create_ticket", REFUND),
            ("highlight", {"selector": "<b>"}),
            ("navigate", {"url": "https://shop.example/orders"}),
            ("escalate", {"reason": "angry"}),
        ],
    )
    model.reply("Look here; I have told the team.")

    answer = visitor.told(headers=PAGE)

    ticket = Ticket.objects.get()
    assert answer["actions"] == [
        {"type": "highlight", "selector": "#reset", "label": "Reset"},
        {"type": "create_ticket", "ticket_id": str(ticket.pk)},
        {"type": "navigate", "url": "/orders"},
        {"type": "escalate", "reason": "angry", "ticket_id": str(ticket.pk)},
    ]
    assert ["error" in result for result in results(model)] == [False, False, True, False, False]


def test_a_ticket_belongs_to_the_turn_and_goes_to_the_agents_team(
    visitor: Visitor, model: FakeModel, cast: Cast, acme: Organization
) -> None:
    team = Team.objects.create(org=acme, name="Refunds", email="refunds@acme.example")
    configure(cast, escalation_team=team)
    model.reply("", tool_calls=[("create_ticket", REFUND)]).reply("I have passed it on.")

    visitor.told()

    ticket, turn, call = Ticket.objects.get(), Turn.objects.get(), ToolCall.objects.get()
    assert (ticket.org, ticket.turn, ticket.conversation) == (acme, turn, turn.conversation)
    assert (ticket.session, ticket.team) == (turn.conversation.session, team)
    assert (ticket.subject, ticket.message, ticket.priority) == ("Refund", "Order 4711 came broken.", "priority")
    assert (ticket.source, ticket.effect_key, call.effect_key) == ("agent", f"turn:{turn.pk}:0", f"turn:{turn.pk}:0")
    assert not turn.escalated and OutboxItem.objects.filter(ticket=ticket).exists()


@pytest.mark.parametrize("extra", [{"org": "x"}, {"priority": "urgent"}, {"subject": ""}, {"subject": 5}])
def test_a_ticket_that_makes_no_sense_goes_back_to_the_model(
    visitor: Visitor, model: FakeModel, extra: dict[str, Any]
) -> None:
    model.reply("", tool_calls=[("create_ticket", {**REFUND, **extra})]).reply("Sorry.")

    assert visitor.told()["actions"] == []
    assert "error" in results(model)[0] and not Ticket.objects.exists()


def test_the_same_twice_in_a_turn_counts_once_and_tickets_are_few(visitor: Visitor, model: FakeModel) -> None:
    several = [("create_ticket", {**REFUND, "subject": f"No. {number}"}) for number in (1, 1, 2, 3, 4)]
    model.reply("", tool_calls=[*several, ("highlight", {"selector": "#a"})])
    model.reply(
        "", tool_calls=[("highlight", {"selector": "#a"}), ("navigate", {"url": "/a"}), ("navigate", {"url": "/b"})]
    )
    model.reply("Done.")

    actions = visitor.told()["actions"]

    assert [action["type"] for action in actions] == ["create_ticket"] * 3 + ["highlight", "navigate"]
    assert list(Ticket.objects.order_by("number").values_list("subject", flat=True)) == ["No. 1", "No. 2", "No. 3"]


def test_effects_wait_for_the_record_and_a_later_attempt_brings_them_once(visitor: Visitor, model: FakeModel) -> None:
    made = [("create_ticket", REFUND), ("navigate", {"url": "/orders"})]
    model.reply("", tool_calls=made).reply(status=400)
    assert visitor.say(headers=KEY).status_code == 503
    assert not Ticket.objects.exists()
    model.reply("Passed on.")

    answer = visitor.told(headers=KEY)

    assert [action["type"] for action in answer["actions"]] == ["create_ticket", "navigate"]
    assert visitor.told(headers=KEY) == answer
    assert Ticket.objects.count() == 1 and ToolCall.objects.count() == 2


def test_a_visitor_is_led_to_the_sites_of_the_widget_keys_too_and_nowhere_else(
    visitor: Visitor, model: FakeModel, cast: Cast
) -> None:
    WidgetKey.objects.filter(pk=cast.acme.key.pk).update(origins=["https://help.shop.example"])
    WidgetKey.objects.filter(pk=cast.globex.key.pk).update(origins=["https://globex.example"])
    for url, led in (
        ("https://help.shop.example/reset", [{"type": "navigate", "url": "https://help.shop.example/reset"}]),
        ("https://globex.example/reset", []),
        ("javascript:alert(1)", []),
    ):
        model.reply("", tool_calls=[("navigate", {"url": url})]).reply("There.")
        assert visitor.told()["actions"] == led


def test_too_many_calls_are_answered_each_and_performed_up_to_the_limit(visitor: Visitor, model: FakeModel) -> None:
    many = [("highlight", {"selector": f"#e{number}"}) for number in range(30)]
    model.reply("", tool_calls=many).reply("Enough.")

    actions = visitor.told()["actions"]

    assert len(actions) == 5 and len(results(model)) == 30
    assert "tools" not in model.requests[-1].body, "a turn's calls are used up"
    assert Turn.objects.get().confidence_inputs["tool_errors"] == 25
