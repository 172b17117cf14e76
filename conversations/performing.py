"""Tool calls: committed before they are performed, replayed by a later attempt, effects left to the record."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from agents.brain import CallResult, Round, Thought
from agents.llm.base import Excerpt
from agents.tools import builtin, calls
from agents.tools.calls import Call
from agents.tools.offered import Toolbox
from agents.tools.reading import BadCall, arguments_of, as_text
from conversations import calling, steps
from conversations.loading import Reading
from conversations.models import ToolCall, Turn
from conversations.thinking import Effect, Progress
from conversations.turns import Claim
from halo.api.strict_json import storable
from orgs.models import WidgetKey


@dataclass(frozen=True, slots=True)
class LiveHands:
    """Performs the calls of a claimed turn: each is a row before anything happens."""

    reading: Reading
    held: Claim

    def replay(self, progress: Progress, *, tools: Toolbox, deadline: float) -> None:
        """See thinking.Hands."""
        for _, rows in groupby(self.reading.recorded_calls, key=lambda row: row.round):
            self._perform(list(rows), progress, tools, deadline)

    def perform(self, thought: Thought, progress: Progress, *, tools: Toolbox, deadline: float) -> None:
        """Commits the round's calls, then performs them."""
        rows = _plan(thought, self.reading.turn, self.held, progress, tools)
        self._perform(rows, progress, tools, deadline)

    def _perform(self, rows: list[ToolCall], progress: Progress, tools: Toolbox, deadline: float) -> None:
        results = []
        for place, row in enumerate(rows):
            if row.status == ToolCall.Status.PLANNED:
                self._call(row, place, progress, tools, deadline)
            _remember(row, progress)
            results.append(CallResult(id=row.call_id, name=row.name, arguments=row.arguments, result=row.result))
        progress.rounds.append(Round(said=rows[0].said, calls=tuple(results)))

    def _call(self, row: ToolCall, place: int, progress: Progress, tools: Toolbox, deadline: float) -> None:
        """Performs one call and writes down what came of it; a call that makes no sense is told to the model."""
        try:
            row.status, result = self._outcome(row, place, progress, tools, deadline)
        except BadCall as error:
            row.status, result = ToolCall.Status.FAILED, {"error": error.message}
        row.result = as_text(result)
        row.finished_at = Now()
        row.save(update_fields=["status", "result", "http_status", "finished_at"])

    def _outcome(
        self, row: ToolCall, place: int, progress: Progress, tools: Toolbox, deadline: float
    ) -> tuple[str, dict[str, Any]]:
        lost = calling.lost_on_the_way(row, tools)
        if lost is not None:
            return ToolCall.Status.UNKNOWN, lost
        case = self.reading.case
        call = steps.sound_call(
            name=row.name,
            arguments=row.arguments,
            step=row.step,
            place=place,
            case=case,
            progress=progress,
            tools=tools,
            origins=self._origins,
        )
        if call.custom is not None:
            return calling.call_out(row, call, case=case, turn=self.reading.turn, held=self.held, deadline=deadline)
        if call.name == builtin.SEARCH.name:
            return ToolCall.Status.DONE, steps.shown(steps.look_up(call, step=row.step, case=case))
        # Everything else is an effect in our own database or on the page: it comes with the record.
        if call.name == builtin.ESCALATE.name:
            return ToolCall.Status.DONE, steps.called_for_person(call, case=case)
        return ToolCall.Status.DONE, calls.promised(call)

    def _origins(self) -> Collection[str]:
        """The sites that the organisation's widget keys are limited to."""
        keys = WidgetKey.objects.for_org(self.held.org_id).filter(
            Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None
        )
        return {origin for origins in keys.values_list("origins", flat=True) for origin in origins}


def _plan(thought: Thought, turn: Turn, held: Claim, progress: Progress, tools: Toolbox) -> list[ToolCall]:
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
            custom_tool_id=tools.custom[asked.name].id if asked.name in tools.custom else None,
            effect_key=_effect_key(turn, asked.name, progress.calls + offset, tools),
        )
        for offset, asked in enumerate(thought.tool_requests)
    ]
    with transaction.atomic():
        # The turn's row is locked, so that a claim that is lost right now cannot plan the same steps beside us.
        calling.stand(held)
        ToolCall.objects.bulk_create(rows)
    return rows


def _effect_key(turn: Turn, name: str, step: int, tools: Toolbox) -> str:
    if name in tools.custom:
        return f"halo-{turn.pk}-{step}"
    return f"turn:{turn.pk}:{step}" if name == builtin.TICKET.name else ""


def _remember(row: ToolCall, progress: Progress) -> None:
    """Brings what a call did into `progress`, from its row alone: the same now and in a later attempt."""
    progress.calls += 1
    Status = ToolCall.Status
    if row.status in (Status.FAILED, Status.UNKNOWN):
        progress.errors += 1
    result = json.loads(row.result)
    if row.custom_tool_id is not None or row.effect_key.startswith("halo-"):
        _remember_custom(row, progress)
    elif row.status != Status.DONE:
        return
    elif row.name == builtin.ESCALATE.name:
        progress.escalation = progress.escalation or result["reason"]
    elif row.name == builtin.SEARCH.name:
        issued = {excerpt.n for excerpt in progress.excerpts}
        progress.excerpts += [Excerpt(**passage) for passage in result["passages"] if passage["n"] not in issued]
    else:
        # What is done on the page was made safe first, and that is in the result.
        done = Call(
            row.name,
            arguments_of(row.arguments)
            if row.name == builtin.TICKET.name
            else {key: value for key, value in result.items() if key != "status"},
        )
        progress.tally.count(done)
        progress.effects.append(Effect(row.name, row.step, done.arguments))


def _remember_custom(row: ToolCall, progress: Progress) -> None:
    Status = ToolCall.Status
    if row.started_at is None and row.status != Status.ASKED:
        return
    call = Call(row.name, arguments_of(row.arguments))
    if row.status == Status.ASKED:
        progress.asked.append(call)
        return
    # Whatever came of it, it left: not again in this turn, and not again on the same yes.
    progress.tally.count(call)
    if row.status == Status.DONE:
        progress.effects.append(Effect("custom", row.step, {"name": call.name, "arguments": call.arguments}))
