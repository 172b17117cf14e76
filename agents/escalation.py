"""Whether a person is called in: the agent's policy, held against the signs in a message and its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents import wishes
from agents.answer_types import AnswerType
from agents.conditions import Facts, first_failing, phrase_pattern
from agents.config import AgentConfig

OFF, ALWAYS, CONDITIONAL = "off", "always", "conditional"
VISITOR = "visitor"


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
    if not signs:
        return None, {**why, "result": "no sign that a person is needed"}
    sign, reason = signs[0]
    if sign != VISITOR:
        if config.escalation == OFF:
            return None, {**why, "result": "the agent hands over only where the visitor asks for it"}
        if config.escalation == CONDITIONAL and seen.attempts < config.escalation_attempts:
            return None, {**why, "result": f"attempt {seen.attempts} of {config.escalation_attempts}: not yet"}
    failing = first_failing(config.audience, facts)
    if failing is not None:
        return None, {**why, "result": "not for this visitor", "condition": failing}
    has_priority = bool(config.priority) and first_failing(config.priority, facts) is None
    if has_priority:
        why["priority"] = list(config.priority)
    return Handover(sign, reason, has_priority, config.escalation_team), {**why, "result": "handed over", "by": sign}


def _signs(config: AgentConfig, seen: Seen) -> Sequence[tuple[str, str]]:
    """(sign, sentence) of all that speak for a person, the strongest first."""
    found: list[tuple[str, str]] = []
    if wishes.asks_for_person(seen.question):
        found.append((VISITOR, seen.asked or "The visitor asks for a person."))
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
