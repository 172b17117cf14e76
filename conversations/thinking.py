"""From a case to an answer: search, rounds with the model, what becomes of its words.

Visitors' turns and rehearsals go this same way; what differs is whose hands perform the tool calls.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from agents import brain, deciding
from agents.backends import backend_for
from agents.brain import Round, Thought
from agents.conditions import Facts
from agents.config import AgentConfig
from agents.deciding import Decision, Rounds
from agents.knowledge.search import Hit, query_text, search
from agents.llm.base import Backend, Excerpt, ModelError
from agents.models import Agent
from agents.prompts.layers import Briefing
from agents.releasing import Release
from agents.tools.calls import Call, Tally, with_questions
from agents.tools.custom import Subject
from agents.tools.offered import Toolbox, toolbox
from halo.db import release_connection
from orgs.hours import Away
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
    # Set while the team that this agent hands over to is not there.
    away: Away | None = None
    # The address that the visitor's browser named, and who they are for calls to other systems.
    page: str = ""
    subject: Subject = field(default_factory=Subject)
    # Keys of calls that the visitor was asked about in the answer before (agents.tools.reading.key_of).
    waiting: frozenset[str] = frozenset()
    # False where it is known that a search would find nothing.
    has_knowledge: bool = True


@dataclass(frozen=True, slots=True)
class Effect:
    """What a tool call did elsewhere, or wants done here or on the visitor's page once the answer is recorded.

    `kind` is the tool's name, or `custom`; `step` orders them, and makes the key that an effect is known by.
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
    tally: Tally = field(default_factory=Tally)
    # Calls that wait for the visitor's yes.
    asked: list[Call] = field(default_factory=list)
    calls: int = 0
    errors: int = 0
    # Why the model asked for a person; None where it did not.
    escalation: str | None = None
    prompt: list[dict[str, Any]] = field(default_factory=list)
    model_calls: list[dict[str, Any]] = field(default_factory=list)
    # Milliseconds: `search_ms`, `model_ms`, `tools_ms` in all, and under `phases` each stretch with when it began.
    timings: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    model_name: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def results(self) -> list[str]:
        """What the tools have answered."""
        return [done.result for earlier in self.rounds for done in earlier.calls]

    @contextmanager
    def timed(self, what: str, **more: Any) -> Iterator[dict[str, Any]]:
        """Notes how long the block took, also where it fails."""
        began = time.monotonic()
        phase: dict[str, Any] = {"what": what, "at_ms": round((began - self.began) * 1000, 1), **more}
        self.timings.setdefault("phases", []).append(phase)
        try:
            yield phase
        finally:
            phase["ms"] = milliseconds_since(began)
            self.timings[f"{what}_ms"] = round(self.timings.get(f"{what}_ms", 0.0) + phase["ms"], 1)


class Hands(Protocol):
    """Who performs what the model asks for; `tools` is what it is offered, `deadline` a time.monotonic() value."""

    def replay(self, progress: Progress, *, tools: Toolbox, deadline: float) -> None:
        """Brings the rounds that an earlier attempt committed, performing what it had not got to."""
        ...

    def perform(self, thought: Thought, progress: Progress, *, tools: Toolbox, deadline: float) -> None:
        """Performs a round's calls and adds them to `progress`."""
        ...


class Outlet(Protocol):
    """Where an answer goes while it comes to be."""

    def state(self, state: str) -> None:
        """What is going on: `searching`, `thinking` or `writing`."""
        ...

    def begin(self, round: int, release: Callable[[], Release]) -> None:
        """The model is about to be asked for its `round`-th reply; `release` says what may leave of it."""
        ...

    def take(self, piece: str) -> None:
        """The next words of the reply, nothing of which has been checked."""
        ...


class Nowhere:
    """An outlet for answers that nobody reads before they are finished."""

    def state(self, state: str) -> None:
        """See Outlet."""

    def begin(self, round: int, release: Callable[[], Release]) -> None:
        """See Outlet."""

    def take(self, piece: str) -> None:
        """See Outlet."""


NOWHERE = Nowhere()


def think(case: Case, hands: Hands, progress: Progress, *, deadline: float, outlet: Outlet = NOWHERE) -> Decision:
    """The answer to `case`. No connection is held while the model thinks; raises agents.llm.base.ModelError.

    `deadline` is a time.monotonic() value. `progress` is filled in on the way, so that a failure leaves its trace.
    """
    backend = backend_for(config=case.config, agent=case.agent, org=case.org)
    outlet.state("searching")
    with progress.timed("search"):
        query = query_text(case.briefing.question, deciding.said_before(case.briefing))
        if case.has_knowledge:
            progress.excerpts = excerpts_for(case.org.pk, query, sources=case.config.sources)
    tools = toolbox(org=case.org, config=case.config, verified=case.briefing.verified)
    hands.replay(progress, tools=tools, deadline=deadline)
    while True:
        release_connection()
        thought = _round(case, backend, progress, tools=tools, deadline=deadline, outlet=outlet)
        if not thought.tool_requests:
            break
        with progress.timed("tools", names=[asked.name for asked in thought.tool_requests]):
            hands.perform(thought, progress, tools=tools, deadline=deadline)
    decision = deciding.decide(
        config=case.config,
        briefing=case.briefing,
        facts=case.facts,
        rounds=Rounds(
            text=thought.text,
            excerpts=progress.excerpts,
            calls=progress.calls,
            errors=progress.errors,
            asked=progress.escalation,
            results=progress.results(),
            verbatim=backend.verbatim,
        ),
        attempts=case.earlier_answers + 1,
        away=case.away,
    )
    return dataclasses.replace(decision, text=with_questions(decision.text, progress.asked))


def _round(
    case: Case, backend: Backend, progress: Progress, *, tools: Toolbox, deadline: float, outlet: Outlet
) -> Thought:
    def release() -> Release:
        known = deciding.known_to(
            config=case.config,
            briefing=case.briefing,
            excerpts=progress.excerpts,
            results=progress.results(),
            verbatim=backend.verbatim,
        )
        return Release(excerpts=progress.excerpts, known=known)

    outlet.begin(len(progress.rounds) + 1, release)
    call: dict[str, Any] = {"round": len(progress.rounds) + 1}
    progress.model_calls.append(call)
    with progress.timed("model", round=call["round"]) as phase:
        began = time.monotonic()

        def on_text(piece: str) -> None:
            phase.setdefault("first_text_ms", milliseconds_since(began))
            outlet.take(piece)

        def retried(error: ModelError, pause: float) -> None:
            call.setdefault("retries", []).append(
                {"at_ms": milliseconds_since(began), "error": _told(error), "pause_ms": round(pause * 1000, 1)}
            )

        try:
            thought = brain.think(
                backend=backend,
                config=case.config,
                briefing=case.briefing,
                excerpts=progress.excerpts,
                rounds=progress.rounds,
                tools=tools.specs,
                deadline=deadline,
                on_text=on_text,
                on_prompt=lambda prompt: setattr(progress, "prompt", prompt),
                on_retry=retried,
            )
        except ModelError as error:
            call["error"] = _told(error)
            raise
        finally:
            call["ms"] = milliseconds_since(began)
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


def excerpts_for(
    org_id: uuid.UUID, query: str | Sequence[str], *, sources: Collection[str] = (), first_number: int = 1
) -> list[Excerpt]:
    """The best passages for `query`, of `sources` only where any are named, numbered from `first_number`."""
    chosen = [uuid.UUID(source) for source in sources] or None
    return numbered(search(org_id=org_id, query=query, limit=EXCERPTS, sources=chosen), first_number=first_number)


def _told(error: ModelError) -> str:
    return f"{error.kind}: {error.message}"


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
