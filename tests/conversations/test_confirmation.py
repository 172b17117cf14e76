"""Custom tools that the visitor is asked about first."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from agents.models import CustomTool
from conversations.models import Message, ToolCall, Turn
from orgs.models import Organization
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.conversations.receiver import ORDER, Receiver, ask, offer
from tests.fake_model import FakeModel


@pytest.fixture
def cancelling(cast: Cast, receiver: Receiver, acme: Organization) -> CustomTool:
    return offer(cast.acme, cast, receiver, name="cancel_order", method="POST", path="/cancel", needs_confirmation=True)


def test_the_visitor_is_asked_first_and_a_yes_has_it_done_once(
    visitor: Visitor, model: FakeModel, receiver: Receiver, cancelling: CustomTool, prompt_of: Callable[[], str]
) -> None:
    ask(model, name="cancel_order", then="I can do that.")
    first = visitor.told("Cancel A 1")
    assert first["actions"] == [] and not receiver.asked
    assert first["text"].endswith("Cancel order (order_id: A 1)"), "the visitor reads what they are asked"
    assert ToolCall.objects.get().status == "asked"
    ask(model, name="cancel_order", then="Done.")

    second = visitor.told("Yes, please!", session_id=first["session_id"])

    assert "Waiting for the visitor's yes" in prompt_of() and '{"order_id": "A 1"}' in prompt_of()
    assert second["actions"] == [{"type": "custom", "name": "cancel_order", "arguments": ORDER}]
    assert json.loads(receiver.asked[0][3]) == ORDER
    ask(model, name="cancel_order", then="Once more?")
    assert visitor.told("yes", session_id=first["session_id"])["actions"] == []
    assert len(receiver.asked) == 1, "a yes is good for one call"


@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        *(("No", ORDER), ("yes?", ORDER), ("yes, but A 2", ORDER), ("Tell me a joke", ORDER)),
        ("yes", {"order_id": "A 2"}),
        ("yes", {**ORDER, "note": "x"}),
    ],
)
def test_without_a_yes_to_exactly_this_nothing_is_sent(
    visitor: Visitor, model: FakeModel, receiver: Receiver, cancelling: CustomTool, said: str, arguments: Any
) -> None:
    ask(model, name="cancel_order", then="Shall I cancel order A 1?")
    session = visitor.told("Cancel A 1")["session_id"]
    ask(model, arguments, name="cancel_order", then="Hm.")

    assert visitor.told(said, session_id=session)["actions"] == []
    assert not receiver.asked and ToolCall.objects.filter(status="asked").count() == 2


def test_a_yes_counts_in_the_very_next_message_of_the_same_session_only(
    visitor: Visitor, model: FakeModel, receiver: Receiver, cancelling: CustomTool
) -> None:
    ask(model, name="cancel_order", then="Shall I cancel order A 1?")
    session = visitor.told("Cancel A 1")["session_id"]
    ask(model, name="cancel_order")
    assert visitor.told("yes")["actions"] == [], "another session"
    visitor.told("What do you sell?", session_id=session)
    ask(model, name="cancel_order")

    assert visitor.told("yes", session_id=session)["actions"] == []
    assert not receiver.asked


def test_a_yes_after_a_teammates_words_is_not_to_the_agents_question(
    visitor: Visitor, model: FakeModel, receiver: Receiver, cancelling: CustomTool
) -> None:
    ask(model, name="cancel_order", then="Shall I cancel order A 1?")
    session = visitor.told("Cancel A 1")["session_id"]
    turn = Turn.objects.get()
    Message.objects.create(
        org=turn.org, conversation=turn.conversation, seq=turn.seq, part=2, author="teammate", text="Shall we talk?"
    )
    ask(model, name="cancel_order")

    assert visitor.told("yes", session_id=session)["actions"] == [] and not receiver.asked


def test_one_yes_is_good_for_one_of_two_same_calls(
    visitor: Visitor, model: FakeModel, receiver: Receiver, cancelling: CustomTool
) -> None:
    ask(model, name="cancel_order", then="Shall I cancel order A 1?")
    session = visitor.told("Cancel A 1")["session_id"]
    model.reply("", tool_calls=[("cancel_order", ORDER), ("cancel_order", ORDER)]).reply("Done.")

    assert len(visitor.told("yes", session_id=session)["actions"]) == 1
    assert len(receiver.asked) == 1
