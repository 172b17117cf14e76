"""What becomes of a model's words: citations checked, a type, a confidence, and whether a person is called in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents import citations, confidence, escalation
from agents.answer_types import ASKING, AnswerType, classify, one_question, split_declared
from agents.conditions import Facts
from agents.config import AgentConfig
from agents.escalation import Handover, Seen
from agents.llm.base import Excerpt
from agents.prompts.layers import Briefing


@dataclass(frozen=True, slots=True)
class Rounds:
    """What the rounds with the model brought: its last words, and what its tools did.

    `asked`: why it called for a person; None where it did not.
    """

    text: str
    excerpts: Sequence[Excerpt]
    calls: int = 0
    errors: int = 0
    asked: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the visitor is answered, and what is remembered of how it came about."""

    text: str
    citations: list[dict[str, Any]]
    answer_type: AnswerType
    confidence: float
    inputs: dict[str, Any]
    withheld: bool
    handover: Handover | None
    explanation: dict[str, Any]


def decide(*, config: AgentConfig, briefing: Briefing, facts: Facts, rounds: Rounds, attempts: int) -> Decision:
    """The answer that leaves the house; `attempts` counts the agent's answers in the conversation, with this one."""
    question = briefing.message.text
    body, declared = split_declared(rounds.text)
    checked = citations.check(body, rounds.excerpts)
    answer_type = classify(
        declared=declared,
        question=question,
        answer=checked.text,
        cited=len(checked.citations),
        asked_for_person=rounds.asked is not None,
    )
    text = one_question(checked.text) if answer_type in ASKING else checked.text
    inputs = confidence.inputs(
        question=question,
        answer=text,
        excerpts=rounds.excerpts,
        history=said_before(briefing),
        cited=len(checked.citations),
        unsupported=checked.unsupported,
        tool_calls=rounds.calls,
        tool_errors=rounds.errors,
        escalated=rounds.asked is not None,
        repeated=_is_repeated(briefing),
    )
    estimate = confidence.estimate(inputs)
    handover, explanation = escalation.decide(
        config,
        Seen(
            question=question,
            answer=text,
            answer_type=answer_type,
            confidence=estimate,
            asked=rounds.asked,
            attempts=attempts,
        ),
        facts,
    )
    if handover is not None and rounds.asked is None:
        # The model does not know that a person is called in, so its words do not say it.
        text = f"{text}\n\n{config.handover_text}"
    return Decision(
        text=text,
        citations=checked.citations,
        answer_type=answer_type,
        confidence=estimate,
        inputs={"head": confidence.head_version(), **inputs},
        withheld=False,
        handover=handover,
        explanation=explanation,
    )


def said_before(briefing: Briefing) -> list[str]:
    """Our own transcript, or what the site told us of the conversation where we have none."""
    return [line.text for line in briefing.transcript or briefing.told_history]


def _is_repeated(briefing: Briefing) -> bool:
    """Whether the visitor has asked the same before."""
    asked = " ".join(briefing.message.text.casefold().split())
    return any(line.role == "user" and " ".join(line.text.casefold().split()) == asked for line in briefing.transcript)
