"""Brings in conversations that others recorded, from JSON Lines: once each, with roles, tool calls and outcome."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from agents.models import Agent
from conversations.bulk.reading import BadLine, Recorded, Said, read_line
from conversations.bulk.recounting import count_from, earliest
from conversations.bulk.writing import Rows
from conversations.models import Conversation, Message, ToolCall, Turn, TurnTrace
from halo.errors import HaloError
from halo.ids import uuid7_at
from orgs import audit
from orgs.models import Organization
from sessions.models import SESSION_LIFETIME, ChatSession, new_session_id

BATCH = 100
# Conversations without a time of their own are laid over so many days before now.
DAYS = 30
ANSWER_SECONDS = 55
_TRANSFERS = ("transfer", "escalate", "handoff", "hand_over", "handover")

Progress = Callable[[int, int], None]


class NoAgent(HaloError):
    """409: there is nobody whose conversations these could be."""

    status = 409

    def __init__(self) -> None:
        super().__init__("conflict", "The organisation has no published agent: publish one first.")


@dataclass(slots=True)
class ImportReport:
    """What became of the lines; `refused` has the number of a line and why."""

    created: int = 0
    known: int = 0
    messages: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def import_conversations(
    *,
    org: Organization,
    lines: Iterable[bytes],
    total: int,
    now: dt.datetime | None = None,
    progress: Progress = lambda done, total: None,
) -> ImportReport:
    """Stores each line's conversation that is not there yet, known by its `id`; lines that are wrong are reported.

    Each hundred in a transaction of its own: what was stored stays, and the next run goes on from there.
    """
    agent = Agent.objects.for_org(org).exclude(current_version=None).order_by("-is_default", "created_at").first()
    if agent is None:
        raise NoAgent
    now = now or timezone.now()
    report = ImportReport()
    waiting: dict[str, Recorded] = {}
    for number, line in enumerate(lines, 1):
        try:
            recorded = read_line(line)
            if recorded is not None and recorded.key in waiting:
                raise BadLine(f"The id “{recorded.key}” stands on an earlier line too.")
            if recorded is not None:
                waiting[recorded.key] = recorded
        except BadLine as error:
            report.refused.append((number, str(error)))
        if len(waiting) == BATCH:
            _store(org, agent, waiting, now, report)
        if number % 10 == 0 and number < total:
            progress(number, total)
    _store(org, agent, waiting, now, report)
    progress(total, total)
    if report.created:
        count_from(earliest(org, Conversation.Origin.IMPORTED), org=org)
        done = {"conversations": report.created, "messages": report.messages}
        audit.record(org=org, actor=None, action="conversations.imported", after=done)
    return report


def _store(org: Organization, agent: Agent, waiting: dict[str, Recorded], now: dt.datetime, into: ImportReport) -> None:
    """Stores those of `waiting` that are not known yet, and empties it."""
    known = set(
        Conversation.objects.for_org(org)
        .filter(origin=Conversation.Origin.IMPORTED, origin_key__in=list(waiting))
        .values_list("origin_key", flat=True)
    )
    rows = Rows()
    for key, recorded in waiting.items():
        if key in known:
            into.known += 1
            continue
        _Laid(rows, org, agent, recorded, now).lay()
        into.created += 1
    into.messages += len(rows.of(Message))
    rows.store()
    waiting.clear()


class _Laid:
    """One conversation, laid out in rows; pauses that nobody recorded follow from its id."""

    def __init__(self, rows: Rows, org: Organization, agent: Agent, recorded: Recorded, now: dt.datetime) -> None:
        self.rows, self.org, self.agent, self.recorded = rows, org, agent, recorded
        self.chance = random.Random(recorded.key)  # noqa: S311
        began = recorded.began or now - dt.timedelta(days=DAYS * self.chance.uniform(0.02, 1))
        self.clock = min(began, now)
        self.common = {"org_id": org.pk}

    def lay(self) -> None:
        recorded, rows = self.recorded, self.rows
        began = self.clock
        session = uuid7_at(began, self.chance)
        self.conversation = uuid7_at(began, self.chance)
        rows.add(
            ChatSession,
            **self.common,
            id=session,
            session_id=new_session_id(),
            started_at=began,
            expires_at=began + SESSION_LIFETIME,
            closed_at=began + SESSION_LIFETIME,
        )
        messages = 0
        for seq, (asked, said) in enumerate(recorded.exchanges, 1):
            messages += self._exchange(seq, asked, said)
        rows.add(
            Conversation,
            **self.common,
            id=self.conversation,
            session_id=session,
            agent_id=self.agent.pk,
            agent_version_id=self.agent.current_version_id,
            seq=len(recorded.exchanges),
            created_at=began,
            last_message_at=self.clock,
            message_count=messages,
            outcome=self._outcome(),
            language=recorded.language,
            origin=Conversation.Origin.IMPORTED,
            origin_key=recorded.key,
        )

    def _outcome(self) -> str:
        Outcome = Conversation.Outcome
        calls = [call.name for _, said in self.recorded.exchanges for part in said for call in part.calls]
        if any(word in name.casefold() for name in calls for word in _TRANSFERS):
            return Outcome.ESCALATED
        if self.recorded.success is None:
            return Outcome.ANSWERED
        return Outcome.ANSWERED if self.recorded.success else Outcome.FAILED

    def _exchange(self, seq: int, asked: str, said: list[Said]) -> int:
        """A turn: what the visitor wrote, what was called for it, and what the agent answered; how many messages."""
        accepted = self._later(20, 90) if seq > 1 else self.clock
        turn = uuid7_at(accepted, self.chance)
        of_turn = {**self.common, "turn_id": turn}
        in_talk = {**of_turn, "conversation_id": self.conversation, "seq": seq}
        if asked:
            said_at = uuid7_at(accepted, self.chance)
            self.rows.add(Message, **in_talk, id=said_at, author="visitor", text=asked, created_at=accepted)
        step = 0
        for number, part in enumerate(said):
            for call in part.calls:
                started = self._later(1, 3)
                self.rows.add(
                    ToolCall,
                    **of_turn,
                    step=step,
                    round=number,
                    said=part.text if call is part.calls[0] else "",
                    call_id=call.id[:200],
                    name=call.name[:200],
                    arguments=call.arguments,
                    status="unknown" if call.result is None else "done",
                    result=call.result or "",
                    started_at=started,
                    created_at=started,
                    finished_at=self._later(0.2, 1.5),
                )
                step += 1
        answer = "\n\n".join(part.text for part in said if part.text and not part.calls)
        finished = self._later(2, 7)
        if answer:
            self.rows.add(
                Message,
                **in_talk,
                id=uuid7_at(finished, self.chance),
                part=1,
                author="agent",
                text=answer,
                created_at=finished,
            )
        self.rows.add(
            Turn,
            **self.common,
            id=turn,
            conversation_id=self.conversation,
            seq=seq,
            agent_version_id=self.agent.current_version_id,
            snapshot=json.dumps(self._snapshot(seq)),
            accepted_at=accepted,
            answer_by=accepted + dt.timedelta(seconds=ANSWER_SECONDS),
            claimed_at=accepted,
            finished_at=finished,
            outcome=Turn.Outcome.ANSWERED if answer else "",
            response=json.dumps({"text": answer, "actions": [], "citations": [], "confidence": None}),
            escalated=any(w in call.name.casefold() for part in said for call in part.calls for w in _TRANSFERS),
            model_name=self.recorded.model,
        )
        if seq == 1 and self.recorded.instructions:
            prompt = [{"role": "system", "content": self.recorded.instructions}, {"role": "user", "content": asked}]
            self.rows.add(TurnTrace, **of_turn, prompt=json.dumps(prompt), created_at=finished)
        return bool(asked) + bool(answer)

    def _snapshot(self, seq: int) -> dict[str, Any]:
        """What the record says besides the words, with the first message."""
        told = {"label": "Imported", "type": "record", "value": self.recorded.facts}
        return {"context": {"imported": told}} if seq == 1 and self.recorded.facts else {}

    def _later(self, least: float, most: float) -> dt.datetime:
        self.clock += dt.timedelta(seconds=self.chance.uniform(least, most))
        return self.clock
