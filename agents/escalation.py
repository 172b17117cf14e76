"""Whether a person is called in: the agent's policy, held against the signs in a message and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents import wishes
from agents.answer_types import AnswerType
from agents.conditions import Facts, cut, describe, evidence, first_failing, phrase_pattern
from agents.config import AgentConfig
from orgs.hours import Away

OFF, ALWAYS, CONDITIONAL = "off", "always", "conditional"
VISITOR = "visitor"
VISITOR_ASKS = "The visitor asks for a person."
BUTTON_ASKS = "With the button for it."
HANDED_OVER, NO_SIGN = "handed over", "no sign that a person is needed"


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to go by. `asked`: why the model called for a person; None where it did not.

    `attempts`: answers that the agent has given in the conversation, this one included.
    """

    question: str
    answer: str
    answer_type: AnswerType
    confidence: float | None
    asked: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Handover:
    """A person is called in; `sign` is what decided, `reason` a sentence for the team."""

    sign: str
    reason: str
    has_priority: bool
    team: str


def decide(config: AgentConfig, seen: Seen, facts: Facts) -> tuple[Handover | None, dict[str, Any]]:
    """The handover, if there is one, and why: every sign that was seen, and what let it count or not."""
    signs = _signs(config, seen)
    why: dict[str, Any] = {"mode": config.escalation, "signs": [{"sign": sign, "reason": text} for sign, text in signs]}
    if config.escalation == CONDITIONAL:
        why |= {"attempts": seen.attempts, "attempts_needed": config.escalation_attempts}
    if facts.page.get("url"):
        why["page"] = cut(facts.page["url"])
    if not signs:
        return None, {**why, "result": NO_SIGN}
    blocked = blocked_by(config, facts, attempts=seen.attempts, visitor_asks=signs[0][0] == VISITOR)
    if blocked is not None:
        return None, {**why, **blocked}
    return _handed_over(config, facts, why, *signs[0])


def decide_button(config: AgentConfig, facts: Facts) -> tuple[Handover | None, dict[str, Any]]:
    """The same where the visitor asks with a button: only who is outside the audience gets none."""
    why: dict[str, Any] = {"mode": config.escalation, "signs": [{"sign": VISITOR, "reason": BUTTON_ASKS}]}
    if facts.page.get("url"):
        why["page"] = cut(facts.page["url"])
    blocked = blocked_by(config, facts, attempts=0, visitor_asks=True)
    if blocked is not None:
        return None, {**why, **blocked}
    return _handed_over(config, facts, why, VISITOR, VISITOR_ASKS)


def _handed_over(
    config: AgentConfig, facts: Facts, why: dict[str, Any], sign: str, reason: str
) -> tuple[Handover, dict[str, Any]]:
    has_priority = bool(config.priority) and first_failing(config.priority, facts) is None
    if has_priority:
        why["priority"] = [describe(condition) for condition in config.priority]
    return Handover(sign, reason, has_priority, config.escalation_team), {**why, "result": HANDED_OVER, "by": sign}


def blocked_by(config: AgentConfig, facts: Facts, *, attempts: int, visitor_asks: bool) -> dict[str, Any] | None:
    """Why a sign would not count at this point, as part of an explanation; None where it would."""
    if not visitor_asks:
        if config.escalation == OFF:
            return {"result": "the agent hands over only where the visitor asks for it"}
        if config.escalation == CONDITIONAL and attempts < config.escalation_attempts:
            return {"result": f"answer {attempts} of {config.escalation_attempts}: not yet"}
    failing = first_failing(config.audience, facts)
    return None if failing is None else {"result": "not for this visitor", **evidence(failing, facts)}


def told_to_model(
    config: AgentConfig, facts: Facts, *, question: str, attempts: int, away: Away | None
) -> dict[str, Any]:
    """The tool's result for a model that calls for a person: what it then says to the visitor must come true."""
    if blocked_by(config, facts, attempts=attempts, visitor_asks=wishes.asks_for_person(question)) is not None:
        told = (
            "Nobody is called in at this point. Do not promise a person: help as well as you can, and ask the visitor "
            "for what you still need to know."
        )
        return {"called": False, "status": told}
    told = "A person of the team will be told. Say so to the visitor."
    return {"called": True, "status": told if away is None else f"{told} Also tell the visitor this: {away.sentence}"}


def _signs(config: AgentConfig, seen: Seen) -> Sequence[tuple[str, str]]:
    """(sign, sentence) of all that speak for a person, the strongest first."""
    found: list[tuple[str, str]] = []
    if wishes.asks_for_person(seen.question):
        found.append((VISITOR, seen.asked or VISITOR_ASKS))
    if seen.asked is not None:
        found.append(("agent", seen.asked))
    elif seen.answer_type == AnswerType.NEEDS_PERSON:
        found.append(("agent", "The agent says that this needs a person."))
    phrases = phrase_pattern(config.escalation_phrases)
    if phrases is not None:
        for where, text in (("visitor's message", seen.question), ("answer", seen.answer)):
            match = phrases.search(text)
            if match:
                found.append(("phrase", f"“{match.group()}” in the {where}."))
                break
    threshold = config.escalation_threshold
    if threshold is not None and seen.confidence is not None and seen.confidence < threshold:
        found.append(("confidence", f"Confidence {seen.confidence:.2f} is below the threshold of {threshold:.2f}."))
    return found
