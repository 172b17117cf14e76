"""Tool calls: committed before they are performed, replayed by a later attempt, effects left to the record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby

from django.db import transaction
from django.db.models.functions import Now

from agents import tools
from agents.brain import CallResult, Round, Thought
from agents.llm.base import Excerpt
from conversations.loading import Reading
from conversations.models import ToolCall, Turn
from conversations.recording import Overtaken
from conversations.thinking import Progress, excerpts_for
from conversations.turns import Claim
from halo.api.strict_json import storable


@dataclass(frozen=True, slots=True)
class LiveHands:
    """Performs the calls of a claimed turn: each is a row before anything happens."""

    reading: Reading
    held: Claim

    def replay(self, progress: Progress) -> None:
        """See thinking.Hands."""
        for _, calls in groupby(self.reading.recorded_calls, key=lambda call: call.round):
            _perform(list(calls), self.held, progress)

    def perform(self, thought: Thought, progress: Progress) -> None:
        """Commits the round's calls, then performs them."""
        rows = _plan(thought, self.reading.turn, self.held, progress)
        _perform(rows, self.held, progress)


def _plan(thought: Thought, turn: Turn, held: Claim, progress: Progress) -> list[ToolCall]:
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
    return rows


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
