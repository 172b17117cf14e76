"""Tool calls: committed before they are performed, replayed by a later attempt, effects left to the record."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from django.db import transaction
from django.db.models.functions import Now

from agents import tools
from agents.brain import CallResult, Round, Thought
from agents.knowledge.search import Hit, search
from agents.llm.base import Excerpt
from conversations.loading import Reading
from conversations.models import ToolCall, Turn
from conversations.recording import Overtaken
from conversations.turns import Claim
from halo.api.strict_json import storable

EXCERPTS = 8


@dataclass(slots=True)
class Progress:
    """What the rounds of an attempt have brought so far."""

    excerpts: list[Excerpt]
    rounds: list[Round] = field(default_factory=list)
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    errors: int = 0
    # Why the model asked for a person; None where it did not.
    escalation: str | None = None


def excerpts_for(
    org_id: uuid.UUID,
    query: str | Sequence[str],
    *,
    sources: Collection[uuid.UUID] | None = None,
    first_number: int = 1,
) -> list[Excerpt]:
    """The best passages for `query`, of `sources` only unless that is None, numbered from `first_number`."""
    return numbered(search(org_id=org_id, query=query, limit=EXCERPTS, sources=sources), first_number=first_number)


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


def replay(reading: Reading, held: Claim, progress: Progress) -> None:
    """Brings the rounds that an earlier attempt committed, performing what it had not got to."""
    for _, calls in groupby(reading.recorded_calls, key=lambda call: call.round):
        _perform(list(calls), held, progress)


def perform(thought: Thought, turn: Turn, held: Claim, progress: Progress) -> None:
    """Commits the round's calls, then performs them."""
    number = len(progress.rounds)
    rows = [
        ToolCall(
            org_id=turn.org_id,
            turn=turn,
            step=progress.calls + offset,
            round=number,
            said=thought.text if offset == 0 else "",
            # SECURITY: the model's own words, so nothing in them may upset the database.
            call_id=storable(asked.id)[:200],
            name=storable(asked.name)[:200],
            arguments=storable(asked.arguments),
        )
        for offset, asked in enumerate(thought.tool_requests)
    ]
    with transaction.atomic():
        standing = Turn.objects.for_org(held.org_id).filter(
            pk=held.turn_id, status=Turn.Status.RUNNING, claimed_by=held.process_id, attempt=held.attempt
        )
        # The turn's row is locked, so that a claim that is lost right now cannot plan the same steps beside us.
        if standing.select_for_update().values_list("pk").first() is None:
            raise Overtaken
        ToolCall.objects.bulk_create(rows)
    _perform(rows, held, progress)


def _perform(rows: list[ToolCall], held: Claim, progress: Progress) -> None:
    results = []
    for row in rows:
        if row.status == ToolCall.Status.PLANNED:
            _call(row, held)
        _remember(row, progress)
        results.append(CallResult(id=row.call_id, name=row.name, arguments=row.arguments, result=row.result))
    progress.rounds.append(Round(said=rows[0].said, calls=tuple(results)))


def _call(row: ToolCall, held: Claim) -> None:
    """Performs one call and writes down what came of it; a call that makes no sense is told to the model."""
    status = ToolCall.Status.DONE
    try:
        arguments = tools.read_arguments(row.name, row.arguments)
        if row.name == tools.SEARCH.name:
            # Numbers follow from the step alone, so that a replay issues the same ones.
            found = excerpts_for(held.org_id, arguments["query"], first_number=(row.step + 1) * 10 + 1)
            result: dict[str, object] = {"passages": [_as_json(excerpt) for excerpt in found]}
        else:
            # Handing over is an effect in our own database: it happens in the record transaction.
            result = {"status": "A person of the team will be told. Say so to the visitor.", **arguments}
    except tools.BadCall as error:
        status, result = ToolCall.Status.FAILED, {"error": error.message}
    row.status = status
    row.result = tools.as_text(result)
    row.finished_at = Now()
    row.save(update_fields=["status", "result", "finished_at"])


def _remember(row: ToolCall, progress: Progress) -> None:
    progress.calls += 1
    if row.status == ToolCall.Status.FAILED:
        progress.errors += 1
        return
    result = json.loads(row.result)
    if row.name == tools.ESCALATE.name:
        progress.escalation = progress.escalation or result["reason"]
    elif row.name == tools.SEARCH.name:
        issued = {excerpt.n for excerpt in progress.excerpts}
        progress.excerpts += [Excerpt(**passage) for passage in result["passages"] if passage["n"] not in issued]


def _as_json(excerpt: Excerpt) -> dict[str, object]:
    return {name: getattr(excerpt, name) for name in ("n", "title", "text", "url", "score", "article_id", "lead")}
