"""Each answer is of a kind, which drives what the agent does; what nothing supports does not reach the visitor."""

from __future__ import annotations

from typing import Any

import pytest

from agents.answer_types import AnswerType, split_declared
from agents.knowledge.importing import Draft, import_articles
from agents.services import change_agent
from conversations.models import Conversation, Ticket, Turn, TurnTrace
from orgs.models import Organization
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel

PRICES = "A city bike costs £14 a day. An electric bike costs £28 a day. A helmet comes with each bike."


@pytest.fixture
def knowing(acme: Organization) -> Organization:
    """Acme, whose knowledge is one article."""
    import_articles(org=acme, source_name="Help", drafts=[Draft("prices", "Prices", PRICES)])
    return acme


def set_agent(cast: Cast, **values: Any) -> None:
    agent = cast.acme.agent
    for name, value in values.items():
        setattr(agent, name, value)
    change_agent(agent=agent, names=list(values), by=None)


@pytest.mark.parametrize("kind", [kind for kind in AnswerType.values if kind and kind != "needs_person"])
def test_the_kind_that_the_model_declares_is_stored_and_not_shown(
    visitor: Visitor, model: FakeModel, kind: str
) -> None:
    model.reply(f"Which plan are you on?\n\n[type]: {kind}")
    told = visitor.told("How much is it?")
    assert told["text"] == "Which plan are you on?"
    turn = Turn.objects.get(pk=told["turn_id"])
    assert (turn.answer_type, turn.conversation.answer_type) == (kind, kind)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("Hello!\n[type]: answerable", "answerable"),
        ("Hello!\n**Type:** Not in knowledge", "not_in_knowledge"),
        ('Yes [1].\n\n[type]: answerable\n\n[1]: "quote"', "answerable"),
        ("Hello!\n[type]: nonsense", ""),
        ("A type: of bread", ""),
        ("", ""),
    ],
)
def test_a_declared_kind_is_read_as_models_write_it(written: str, kind: str) -> None:
    text, declared = split_declared(written)
    assert declared == kind
    assert "ype" not in text or kind == ""


def test_without_a_declared_kind_it_is_told_from_what_was_done(visitor: Visitor, model: FakeModel) -> None:
    for text, kind in [
        ("It is in the settings.", "answerable"),
        ("I'm sorry, I don't have any information about that.", "not_in_knowledge"),
        ("Which of your two sites do you mean?", "needs_fact"),
    ]:
        model.reply(text)
        assert Turn.objects.get(pk=visitor.told("Where is it?")["turn_id"]).answer_type == kind


def test_who_asks_back_asks_one_question(visitor: Visitor, model: FakeModel) -> None:
    model.reply("Happy to help. Which browser do you use? And since when? What did you try?\n[type]: needs_fact")
    assert visitor.told("It does not work")["text"] == "Happy to help. Which browser do you use?"


def test_an_answer_that_needs_a_person_calls_one(visitor: Visitor, model: FakeModel) -> None:
    model.reply("That has to be looked at by our team.\n[type]: needs_person")
    told = visitor.told("My account was hacked")
    assert [action["type"] for action in told["actions"]] == ["escalate"]
    assert told["text"].endswith("A person will get back to you.")
    turn = Turn.objects.get(pk=told["turn_id"])
    assert (turn.answer_type, turn.escalated) == ("needs_person", True)
    assert turn.conversation.outcome == Conversation.Outcome.ESCALATED


def test_an_invention_does_not_reach_the_visitor(knowing: Organization, visitor: Visitor, model: FakeModel) -> None:
    model.reply("A tandem costs £45 a weekend, and students pay half.\n[type]: answerable")
    told = visitor.told("What does a tandem cost?")
    assert "45" not in told["text"] and "don't have reliable information" in told["text"]
    turn = Turn.objects.get(pk=told["turn_id"])
    assert (turn.answer_type, turn.withheld, told["citations"]) == ("not_in_knowledge", True, [])
    # Analysts see what was kept back.
    assert "£45" in TurnTrace.objects.get(turn=turn).model_calls[-1]["said"]


def test_what_the_knowledge_says_reaches_the_visitor(knowing: Organization, visitor: Visitor, model: FakeModel) -> None:
    text = "A city bike costs £14 a day, and a helmet comes with it."
    model.reply(f"{text}\n[type]: answerable")
    told = visitor.told("What does a bike cost?")
    assert told["text"] == text
    assert Turn.objects.get(pk=told["turn_id"]).answer_type == "answerable"


def test_of_a_mixed_answer_the_supported_part_leaves(knowing: Organization, visitor: Visitor, model: FakeModel) -> None:
    model.reply(
        'A city bike costs £14 a day [1]. It was built in 1999 by Ann Miller.\n[1]: "A city bike costs £14 a day"'
    )
    told = visitor.told("What does a bike cost?")
    assert told["text"] == "A city bike costs £14 a day [1]."
    assert [citation["n"] for citation in told["citations"]] == [1]
    assert not Turn.objects.get(pk=told["turn_id"]).withheld


def test_with_the_guard_off_the_models_words_go_out(
    knowing: Organization, visitor: Visitor, model: FakeModel, cast: Cast
) -> None:
    set_agent(cast, guard=False)
    model.reply("A tandem costs £45 a weekend.")
    assert visitor.told("What does a tandem cost?")["text"] == "A tandem costs £45 a weekend."


def test_instructions_and_the_visitors_context_support_an_answer(
    knowing: Organization, visitor: Visitor, model: FakeModel, cast: Cast
) -> None:
    set_agent(cast, instructions="On public holidays the shop opens at 11:00.")
    model.reply("On public holidays our shop opens at 11:00. Your booking 4711 begins on Friday.")
    context = {"booking": {"label": "Booking", "value": {"number": 4711, "begins": "Friday"}}}
    told = visitor.told("When do you open?", context=context)
    assert told["text"] == "On public holidays our shop opens at 11:00. Your booking 4711 begins on Friday."


def test_an_invented_answer_with_a_threshold_goes_to_a_person(
    knowing: Organization, visitor: Visitor, model: FakeModel, cast: Cast
) -> None:
    set_agent(cast, escalation_threshold=0.5, unknown_text="No idea.")
    model.reply("A tandem costs £45 a weekend, and students pay half.")
    told = visitor.told("What does a tandem cost?")
    assert told["text"].startswith("No idea.")
    ticket = Ticket.objects.get(pk=told["actions"][0]["ticket_id"])
    assert "below the threshold" in ticket.metadata["reason"]


def test_a_greeting_puts_nothing_at_stake_and_calls_nobody(visitor: Visitor, model: FakeModel, cast: Cast) -> None:
    set_agent(cast, escalation_threshold=0.6)
    model.reply("Hello! How can I help you today?")
    told = visitor.told("Hi there!")
    assert (told["actions"], told["confidence"] > 0.9) == ([], True)
    # What is stated beside a greeting may be wrong like anything else.
    model.reply("Hello! Our shop in Paris opened in 1999.")
    assert visitor.told("Hi there!")["confidence"] < 0.6


def test_who_asks_back_is_not_handed_over_for_being_unsure(visitor: Visitor, model: FakeModel, cast: Cast) -> None:
    set_agent(cast, escalation_threshold=1.0)
    model.reply("Which of the two plans do you mean?\n[type]: ambiguous")
    assert visitor.told("Is it included?")["actions"] == []
    model.reply("It is included in both.\n[type]: answerable")
    assert [action["type"] for action in visitor.told("The big one")["actions"]] == ["escalate"]


def test_an_invention_beside_a_call_for_a_person_promises_only_what_happens(
    knowing: Organization, visitor: Visitor, model: FakeModel, cast: Cast
) -> None:
    set_agent(cast, handover_text="A person will write.", unknown_text="No idea.")
    model.reply(tool_calls=[("escalate", {"reason": "Unsure"})])
    model.reply("A tandem costs £45 a weekend.")
    told = visitor.told("What does a tandem cost?")
    assert (told["text"], len(told["actions"])) == ("No idea.\n\nA person will write.", 1)
    set_agent(cast, escalation="conditional", escalation_attempts=5)
    model.reply(tool_calls=[("escalate", {"reason": "Unsure"})])
    model.reply("A tandem costs £45 a weekend.")
    told = visitor.told("And for a week, please?")
    assert (told["text"], told["actions"]) == ("No idea.", [])
