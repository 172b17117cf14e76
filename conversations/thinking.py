"""From a case to an answer: search, rounds with the model, what becomes of its words.

Visitors' turns and rehearsals go this same way; what differs is whose hands perform the tool calls.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agents import brain, deciding
from agents.backends import backend_for
from agents.brain import Round, Thought
from agents.conditions import Facts
from agents.config import AgentConfig
from agents.deciding import Decision, Rounds
from agents.knowledge.search import Hit, query_text, search
from agents.llm.base import Excerpt, ModelError
from agents.models import Agent
from agents.prompts.layers import Briefing
from halo.db import release_connection
from orgs.models import Organization

EXCERPTS = 8


@dataclass(frozen=True, slots=True)
class Case:
    """One message to be answered, with all that its answer is made from."""

    org: Organization
    agent: Agent
    config: AgentConfig
    briefing: Briefing
    facts: Facts
    # Answers that the agent has given in the conversation before.
    earlier_answers: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that a tool call wants done in our own database or on the visitor's page, once the answer is recorded.

    `step` orders them, and makes the key that an effect is known by.
    """

    kind: str
    step: int
    arguments: dict[str, Any]


@dataclass(slots=True)
class Progress:
    """What the rounds of an attempt have brought so far; after a failure, how far it came."""

    excerpts: list[Excerpt] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    calls: int = 0
    errors: int = 0
    # Why the model asked for a person; None where it did not.
    escalation: str | None = None
    prompt: list[dict[str, Any]] = field(default_factory=list)
    model_calls: list[dict[str, Any]] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    model_name: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Hands(Protocol):
    """Who performs what the model asks for."""

    def replay(self, progress: Progress) -> None:
        """Brings the rounds that an earlier attempt committed, performing what it had not got to."""
        ...

    def perform(self, thought: Thought, progress: Progress) -> None:
        """Performs a round's calls and adds them to `progress`."""
        ...


def think(case: Case, hands: Hands, progress: Progress, *, deadline: float) -> Decision:
    """The answer to `case`. No connection is held while the model thinks; raises agents.llm.base.ModelError.

    `deadline` is a time.monotonic() value. `progress` is filled in on the way, so that a failure leaves its trace.
    """
    backend = backend_for(config=case.config, agent=case.agent, org=case.org)
    began = time.monotonic()
    query = query_text(case.briefing.message.text, deciding.said_before(case.briefing))
    progress.excerpts = excerpts_for(case.org.pk, query)
    hands.replay(progress)
    progress.timings["search_ms"] = milliseconds_since(began)
    while True:
        release_connection()
        thought = _round(case, backend, progress, deadline=deadline)
        if not thought.tool_requests:
            break
        hands.perform(thought, progress)
    return deciding.decide(
        config=case.config,
        briefing=case.briefing,
        facts=case.facts,
        rounds=Rounds(
            text=thought.text,
            excerpts=progress.excerpts,
            calls=progress.calls,
            errors=progress.errors,
            asked=progress.escalation,
            results=[done.result for earlier in progress.rounds for done in earlier.calls],
            verbatim=backend.verbatim,
        ),
        attempts=case.earlier_answers + 1,
    )


def _round(case: Case, backend: Any, progress: Progress, *, deadline: float) -> Thought:
    began = time.monotonic()
    call: dict[str, Any] = {"round": len(progress.rounds) + 1}
    progress.model_calls.append(call)
    try:
        thought = brain.think(
            backend=backend,
            config=case.config,
            briefing=case.briefing,
            excerpts=progress.excerpts,
            rounds=progress.rounds,
            deadline=deadline,
            on_prompt=lambda prompt: setattr(progress, "prompt", prompt),
        )
    except ModelError as error:
        call["error"] = f"{error.kind}: {error.message}"
        raise
    finally:
        call["ms"] = milliseconds_since(began)
        progress.timings["model_ms"] = progress.timings.get("model_ms", 0.0) + call["ms"]
    call |= {
        "model": thought.model,
        "said": thought.text,
        "tools": [asked.name for asked in thought.tool_requests],
        **dataclasses.asdict(thought.usage),
    }
    progress.model_name = thought.model
    progress.prompt_tokens += thought.usage.prompt_tokens
    progress.completion_tokens += thought.usage.completion_tokens
    return thought


def excerpts_for(org_id: uuid.UUID, query: str | Sequence[str], *, first_number: int = 1) -> list[Excerpt]:
    """The best passages for `query`, numbered from `first_number`."""
    return numbered(search(org_id=org_id, query=query, limit=EXCERPTS), first_number=first_number)


def numbered(hits: Sequence[Hit], *, first_number: int = 1) -> list[Excerpt]:
    """Passages that were found, as they are shown to the model."""
    return [
        Excerpt(
            n=number,
            title=hit.title if not hit.heading or hit.heading == hit.title else hit.heading,
            text=hit.text,
            url=hit.url,
            score=hit.score,
            article_id=hit.external_id,
            lead=hit.lead,
        )
        for number, hit in enumerate(hits, first_number)
    ]


def milliseconds_since(moment: float) -> float:
    """Since a time.monotonic() value, to a tenth."""
    return round((time.monotonic() - moment) * 1000, 1)
