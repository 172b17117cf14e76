"""When a person is called in: modes, signs, audience and priority, on plain data."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from agents import escalation
from agents.answer_types import AnswerType
from agents.conditions import Facts
from agents.config import AgentConfig
from agents.escalation import Seen
from orgs.hours import Away

NOTHING = Seen(
    question="How do I export?",
    answer="Under Settings.",
    answer_type=AnswerType.ANSWERABLE,
    confidence=0.9,
    asked=None,
    attempts=1,
)
GOLD = {"source": "user", "key": "plan", "op": "is", "value": "gold"}
FACTS = Facts(message="x", user={"plan": "silver"}, page={"url": "https://acme.example/billing"})


def decide(facts: Facts = FACTS, *, seen: dict[str, Any], **config: Any) -> tuple[Any, dict[str, Any]]:
    return escalation.decide(AgentConfig(name="A", **config), dataclasses.replace(NOTHING, **seen), facts)


ASKS = {"question": "I want to talk to a human"}
SIGNS: list[dict[str, Any]] = [
    {"asked": "Too hard."},
    {"answer_type": AnswerType.NEEDS_PERSON},
    {"question": "I'll call my LAWYER."},
    {"answer": "See a lawyer."},
    {"confidence": 0.2},
]
SET = {"escalation_phrases": "lawyer\nC++", "escalation_threshold": 0.3, "escalation_team": "t1"}


@pytest.mark.parametrize("sign", SIGNS)
def test_any_sign_counts_always_never_in_off_and_after_some_answers_in_conditional(sign: dict[str, Any]) -> None:
    handover, why = decide(seen=sign, **SET)
    assert handover is not None and handover.team == "t1" and not handover.has_priority
    assert (why["result"], why["by"]) == ("handed over", handover.sign)

    handover, why = decide(seen=sign, escalation="off", **SET)
    assert handover is None and why["result"] == "the agent hands over only where the visitor asks for it"
    assert why["signs"]

    conditional = {**SET, "escalation": "conditional", "escalation_attempts": 2}
    handover, why = decide(seen=sign, **conditional)
    assert handover is None and why["result"] == "answer 1 of 2: not yet"
    assert decide(seen={**sign, "attempts": 2}, **conditional)[0] is not None


def test_without_a_sign_nobody_is_called_in() -> None:
    handover, why = decide(seen={}, **SET)
    assert (handover, why["signs"], why["result"]) == (None, [], "no sign that a person is needed")


@pytest.mark.parametrize("mode", ["off", "always", "conditional"])
def test_who_asks_for_a_person_gets_one_in_every_mode_at_once(mode: str) -> None:
    handover, why = decide(seen=ASKS, escalation=mode)
    assert handover is not None and handover.sign == "visitor" and why["mode"] == mode


def test_confidence_counts_only_below_the_threshold_and_only_where_there_is_one() -> None:
    assert decide(seen={"confidence": 0.3}, escalation_threshold=0.3)[0] is None
    assert decide(seen={"confidence": None}, escalation_threshold=0.3)[0] is None
    assert decide(seen={"confidence": 0.0})[0] is None
    handover, _ = decide(seen={"confidence": 0.29}, escalation_threshold=0.3)
    assert handover is not None and handover.reason == "Confidence 0.29 is below the threshold of 0.30."


@pytest.mark.parametrize(("text", "counts"), [("we use c++!", True), ("lawyers", False), ("outlawyer", False)])
def test_phrases_are_whole_words(text: str, counts: bool) -> None:
    assert (decide(seen={"question": text}, **SET)[0] is not None) is counts


def test_only_the_audience_is_handed_over_and_the_explanation_says_why_not() -> None:
    for seen in (ASKS, {"asked": "Too hard."}):
        handover, why = decide(seen=seen, audience=(GOLD,))
        assert handover is None and why["result"] == "not for this visitor"
        assert (why["condition"], why["actual"]) == ("user plan is “gold”", "silver")
        assert decide(Facts(message="x", user={"plan": "Gold"}), seen=seen, audience=(GOLD,))[0] is not None


def test_priority_needs_all_of_its_conditions_and_at_least_one() -> None:
    gold = Facts(message="x", user={"plan": "gold"})
    handover, why = decide(gold, seen=ASKS, priority=(GOLD,))
    assert handover is not None and handover.has_priority and why["priority"] == ["user plan is “gold”"]
    for facts, priority in ((FACTS, (GOLD,)), (gold, (GOLD, {**GOLD, "value": "silver"})), (gold, ())):
        handover, why = decide(facts, seen=ASKS, priority=priority)
        assert handover is not None and not handover.has_priority and "priority" not in why


def test_the_model_is_told_what_will_come_true() -> None:
    def told(question: str = "x", attempts: int = 1, away: Away | None = None, **config: Any) -> str:
        result = escalation.told_to_model(
            AgentConfig(name="A", **config), FACTS, messages=[question], attempts=attempts, away=away
        )
        assert result["called"] is ("will be told" in result["status"])
        return str(result["status"])

    gone = Away("Back on Monday.", dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC))
    assert "will be told" in told() and told(away=gone).endswith("Back on Monday.")
    for blocked in (told(escalation="conditional"), told(escalation="off"), told(audience=(GOLD,), away=gone)):
        assert "Do not promise a person" in blocked and "Monday" not in blocked
    assert "will be told" in told(escalation="conditional", attempts=2)
    assert "will be told" in told("I want to talk to a human", escalation="conditional")


@pytest.mark.parametrize(
    "message",
    [
        "Ich möchte mit einem Menschen sprechen",
        "Je voudrais parler à un conseiller",
        "Quiero hablar con una persona",
        "Quero falar com um atendente",
        "Vorrei parlare con un operatore",
        "Ik wil graag een medewerker spreken",
    ],
)
def test_a_wish_for_a_person_is_known_in_several_languages(message: str) -> None:
    assert decide(seen={"question": message}, escalation="off")[0] is not None


@pytest.mark.parametrize(
    "message", ["Wie können Besucher mit einem Mitarbeiter sprechen?", "Comment parler à un agent ?", "Pro Person?"]
)
def test_a_question_about_people_is_no_wish(message: str) -> None:
    assert decide(seen={"question": message}, escalation="off")[0] is None
