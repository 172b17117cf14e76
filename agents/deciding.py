"""What becomes of a model's words: citations checked, a type, a confidence, and whether a person is called in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents import citations, confidence, escalation, wishes
from agents.answer_types import ASKING, AnswerType, classify, declines, one_question, split_declared
from agents.conditions import Facts
from agents.config import AgentConfig
from agents.escalation import Handover, Seen
from agents.guard import Guarded, Known, check, states_something
from agents.llm.base import Excerpt
from agents.prompts.layers import Briefing, shown_data
from orgs.hours import Away

# Of an answer most of whose statements were kept back nothing is left to be believed.
MOST_KEPT_BACK = 2


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
    # What the tools answered.
    results: Sequence[str] = ()
    # The words are passages', by construction.
    verbatim: bool = False


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


def decide(
    *,
    config: AgentConfig,
    briefing: Briefing,
    facts: Facts,
    rounds: Rounds,
    attempts: int,
    away: Away | None = None,
) -> Decision:
    """The answer that leaves the house; `attempts` counts the agent's answers in the conversation, with this one.

    `away`: what to tell where a person is called in, while those people are not there.
    """
    question = briefing.question
    body, declared = split_declared(rounds.text)
    checked = citations.check(body, rounds.excerpts)
    guarded = _guarded(checked.text, config, briefing, rounds)
    cited = _still_cited(checked, guarded.text)

    def kind_of(answer: str) -> AnswerType:
        return classify(
            declared=declared,
            question=question,
            answer=answer,
            cited=len(cited),
            asked_for_person=rounds.asked is not None,
        )

    answer_type, text = kind_of(guarded.text), guarded.text
    withheld = len(guarded.kept_back) > MOST_KEPT_BACK * guarded.claims
    # A refusal of which only inventions were kept back is still one, in the model's own words.
    replaced = withheld and not declines(guarded.text)
    if withheld:
        cited = []
        text = config.unknown_text if replaced else guarded.text
        answer_type = kind_of(text)
        if answer_type == AnswerType.ANSWERABLE:
            answer_type = AnswerType.NOT_IN_KNOWLEDGE
    elif answer_type in ASKING:
        text = one_question(text)
    inputs = confidence.inputs(
        question=question,
        answer=checked.text,
        excerpts=rounds.excerpts,
        history=said_before(briefing),
        cited=len(cited),
        unsupported=checked.unsupported,
        tool_calls=rounds.calls,
        tool_errors=rounds.errors,
        escalated=rounds.asked is not None,
        repeated=_is_repeated(briefing),
    )
    if wishes.is_small_talk(question) and not cited and (rounds.verbatim or not states_something(checked.text)):
        inputs |= confidence.NOTHING_AT_STAKE
    estimate = confidence.estimate(inputs)
    handover, explanation = escalation.decide(
        config,
        Seen(
            question=question,
            answer=text,
            answer_type=answer_type,
            # Who asks back has not answered yet, and cannot be wrong.
            confidence=None if answer_type in ASKING else estimate,
            asked=rounds.asked,
            attempts=attempts,
            messages=briefing.messages,
        ),
        facts,
    )
    if handover is not None:
        # A model that did not call for a person does not know that one is called in, so its words do not say it.
        says_so = rounds.asked is not None and not replaced
        text = with_away(text if says_so else f"{text}\n\n{config.handover_text}", away)
        explanation |= {"away": away.sentence} if away else {}
    return Decision(
        text=text,
        citations=cited,
        answer_type=answer_type,
        confidence=estimate,
        inputs={
            "head": confidence.head_version(),
            **inputs,
            "claims": guarded.claims,
            "kept_back": len(guarded.kept_back),
        },
        withheld=withheld,
        handover=handover,
        explanation=explanation,
    )


def _guarded(answer: str, config: AgentConfig, briefing: Briefing, rounds: Rounds) -> Guarded:
    known = known_to(
        config=config, briefing=briefing, excerpts=rounds.excerpts, results=rounds.results, verbatim=rounds.verbatim
    )
    return Guarded(answer) if known is None else check(answer, known)


def known_to(
    *,
    config: AgentConfig,
    briefing: Briefing,
    excerpts: Sequence[Excerpt],
    results: Sequence[str] = (),
    verbatim: bool = False,
) -> Known | None:
    """What the answer's statements are held against; None where they are not."""
    # Who knows nothing answers from its instructions alone, and is not held against what there is not.
    if not config.guard or verbatim or not excerpts:
        return None
    lines = [*(briefing.transcript or briefing.told_history), *briefing.asked]
    return Known(
        passages=[(excerpt.title, excerpt.text) for excerpt in excerpts],
        told=[
            config.instructions,
            briefing.guidance,
            *shown_data(briefing),
            briefing.behaviour,
            *briefing.hints,
            *results,
            *(line.text for line in lines if line.role == "assistant"),
        ],
        asked=[line.text for line in lines if line.role == "user"],
    )


def _still_cited(checked: citations.Checked, text: str) -> list[dict[str, Any]]:
    """The citations without those whose statement was kept back."""
    before, after = citations.numbers_in(checked.text), citations.numbers_in(text)
    return [citation for citation in checked.citations if citation["n"] not in before - after]


def with_away(text: str, away: Away | None) -> str:
    """`text`, which says that people were told, with when they are back, unless it says that already."""
    return text if away is None or away.is_said_in(text) else f"{text}\n\n{away.sentence}"


def said_before(briefing: Briefing) -> list[str]:
    """Our own transcript, or what the site told us of the conversation where we have none."""
    return [line.text for line in briefing.transcript or briefing.told_history]


def _is_repeated(briefing: Briefing) -> bool:
    """Whether the visitor has asked the same before."""
    asked = {" ".join(line.text.casefold().split()) for line in briefing.asked}
    return any(line.role == "user" and " ".join(line.text.casefold().split()) in asked for line in briefing.transcript)
