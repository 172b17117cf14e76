"""The life of a turn: queued, claimed, given back, closed, reopened. Every change is one conditional statement.

Losing a race is a normal return here. Locks are taken in the order session, conversation, turn.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import Case, F, QuerySet, Value, When
from django.db.models.functions import Coalesce, Now

from conversations import bursts
from conversations.models import ANSWER_WITHIN, Conversation, Message, Turn
from halo import db

MAX_LOST = 3

# By the keys of turn and conversation alone (halo.db.run): with `OFFSET 0` the planner looks for each row apart.
_TAKE = """
UPDATE conversations_turn AS t
   SET status = 'running', claimed_by = %(process)s, claimed_at = now(), claimed_epoch = c.epoch,
       attempt = t.attempt + 1{changes}
  FROM conversations_conversation AS c
 WHERE t.id = %(turn)s AND c.id = t.conversation_id AND t.covers_to IS {which}
   AND (t.status = 'queued' AND t.answer_by > now()) IS TRUE AND NOT t.org_id = ANY(%(full)s::uuid[])
   AND NOT EXISTS (SELECT 1 FROM conversations_turn AS e
                    WHERE e.conversation_id = t.conversation_id AND e.seq < t.seq
                      AND (e.status IN ('queued', 'running')) IS TRUE OFFSET 0)
RETURNING t.attempt, t.claimed_epoch, t.conversation_id, t.org_id,
          extract(epoch FROM t.answer_by - now())::float8 AS seconds_left,
          extract(epoch FROM now() - t.accepted_at)::float8 AS waited, t.request_id{columns}
"""
_CLAIM = _TAKE.format(changes="", which="NULL", columns="")
# Of an agent that answers quick messages together, or tried to. Apart, as it costs twice what the other does.
_CLAIM_WITH_OTHERS = f"""
WITH claimed AS ({_TAKE.format(changes=bursts.CHANGES, which="NOT NULL", columns=", t.id, t.seq, t.covers_to")}),
     merged AS ({bursts.MERGE})
SELECT attempt, claimed_epoch, conversation_id, org_id, seconds_left, waited, request_id, ARRAY(SELECT id FROM merged)
  FROM claimed
"""  # noqa: S608

# A running turn whose process holds its advisory lock no more. pg_locks splits a 64-bit key into two halves.
_LOST = """
SELECT t.id, t.request_id, t.attempt, t.lost FROM conversations_turn AS t
 WHERE t.status = 'running'
   AND NOT EXISTS (SELECT 1 FROM pg_locks AS l
                    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                      AND (l.classid::bigint << 32 | l.objid::bigint) = t.claimed_by)
 LIMIT 200
"""

# Turns that could be claimed now and whose last ring was long enough ago: after 2, 4, 8, then every 16 seconds. Those
# that were rung for least often come first, so that what waits for its own organisation's model delays nobody's lost
# bell; and of an organisation that many turns are being answered of, few: its next ones are taken as those end.
_RING_AGAIN = """
UPDATE conversations_turn SET rung_at = now(), rings = rings + 1
 WHERE id IN (SELECT t.id FROM conversations_turn AS t
               WHERE t.status = 'queued'
                 AND t.id IN (SELECT w.id
                                FROM (SELECT q.id, q.org_id, q.rings, q.accepted_at,
                                             row_number() OVER (PARTITION BY q.org_id ORDER BY q.rings, q.accepted_at)
                                        FROM conversations_turn AS q
                                       WHERE q.status = 'queued' AND q.answer_by > now()
                                         AND q.rung_at <= now() - interval '1 second'
                                                                  * greatest(1 << least(q.rings + 1, 4), %(wait)s)
                                         AND NOT EXISTS (SELECT 1 FROM conversations_turn AS e
                                                          WHERE e.conversation_id = q.conversation_id AND e.seq < q.seq
                                                            AND e.status IN ('queued', 'running'))) AS w
                                LEFT JOIN (SELECT org_id, count(*) AS running FROM conversations_turn
                                            WHERE status = 'running' GROUP BY org_id) AS r USING (org_id)
                               WHERE w.row_number <= greatest(20, 200 - coalesce(r.running, 0))
                               ORDER BY w.rings, w.accepted_at LIMIT 200)
                 FOR UPDATE SKIP LOCKED)
RETURNING id, request_id
"""

# The oldest of an organisation's turns that could be claimed now; who asks next is given another one. Of the queued
# ones alone, and their predecessors by the key (halo.db.run): asked for each end while thousands are running.
_NEXT_OF_ORG = """
UPDATE conversations_turn SET rung_at = now()
 WHERE id = (SELECT t.id FROM conversations_turn AS t
              WHERE (t.org_id = %(org)s) IS TRUE AND t.status = 'queued' AND (t.answer_by > now()) IS TRUE
                AND t.rung_at < now() - interval '0.05 seconds'
                AND NOT EXISTS (SELECT 1 FROM conversations_turn AS e
                                 WHERE e.conversation_id = t.conversation_id AND e.seq < t.seq
                                   AND (e.status IN ('queued', 'running')) IS TRUE OFFSET 0)
              ORDER BY t.accepted_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, request_id
"""

_NEXT_QUEUED = """
SELECT id, request_id FROM conversations_turn
 WHERE conversation_id = %s AND status = 'queued' AND answer_by > now()
 ORDER BY seq LIMIT 1
"""

_ORPHANS = """
UPDATE conversations_turn SET status = 'queued', claimed_by = NULL, claimed_epoch = NULL, rung_at = now()
 WHERE status = 'running' AND claimed_by = %(process)s AND claimed_at < now() - interval '5 seconds'
   AND NOT id = ANY(%(in_hand)s::uuid[])
RETURNING id, request_id
"""

_STICKY = (Conversation.Outcome.ESCALATED, Conversation.Outcome.ROUTED, Conversation.Outcome.HUMAN)


@dataclass(frozen=True, slots=True)
class Spent:
    """What an attempt used of a model; `cost` None where its price is not known."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal | None = None
    model_name: str = ""


NOTHING_SPENT = Spent()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to record an answer, for as long as nobody else ended the turn or bumped the epoch."""

    turn_id: uuid.UUID
    conversation_id: uuid.UUID
    org_id: uuid.UUID
    process_id: int
    attempt: int
    epoch: int
    seconds_left: float
    # Since it was accepted.
    waited: float
    request_id: str
    # Turns that are answered with it (conversations.bursts).
    merged: tuple[uuid.UUID, ...] = ()


class Named(NamedTuple):
    """A turn, and the id of the request that brought it, which log lines about it bear."""

    turn_id: uuid.UUID
    request_id: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Whose turn it was that has been ended."""

    conversation_id: uuid.UUID
    org_id: uuid.UUID


def claim(turn_id: uuid.UUID, *, process_id: int, without: Collection[uuid.UUID] = ()) -> Claim | None:
    """Takes a queued turn whose predecessors have ended; None where it is not to be had (now).

    `without`: organisations that have their share of this process.
    """
    try:
        names = {"turn": turn_id, "process": process_id, "full": list(without)}
        rows = db.run(_CLAIM, names) or db.run(_CLAIM_WITH_OTHERS, names)
    except IntegrityError:
        return None
    if not rows:
        return None
    attempt, epoch, conversation_id, org_id, seconds_left, waited, request_id, *merged = rows[0]
    return Claim(
        turn_id,
        conversation_id,
        org_id,
        process_id,
        attempt,
        epoch,
        seconds_left,
        waited=waited,
        request_id=request_id,
        merged=tuple(merged[0]) if merged else (),
    )


def give_back(held: Claim) -> bool:
    """Returns a claimed turn to the queue at no cost, as a process does that is told to stop."""
    return bool(_held(held).update(status=Turn.Status.QUEUED, claimed_by=None, claimed_epoch=None, rung_at=Now()))


def close_unanswered(
    turn_id: uuid.UUID,
    *,
    code: str,
    detail: str = "",
    held: Claim | None = None,
    overdue: bool = False,
    queued_only: bool = False,
    spent: Spent = NOTHING_SPENT,
) -> Ended | None:
    """Ends a turn without an answer: its message stays, marked, and a retry with its key may reopen it.

    With `held` only as long as that claim holds, with `overdue` only past `answer_by`, with `queued_only` only while
    nobody has claimed it, or what it is answered with. Whoever hits nothing reads what is there instead. None where
    nothing was ended. What was to be answered with it is free again.
    """
    turns = Turn.objects.filter(pk=turn_id) if held is None else _held(held)
    turns = turns.filter(status__in=Turn.IN_FLIGHT)
    if queued_only:
        turns = turns.filter(status=Turn.Status.QUEUED, merged_into=None)
    if overdue:
        turns = turns.filter(answer_by__lte=Now())
    with transaction.atomic():
        found = turns.values_list("conversation_id", "org_id", "covers_to").first()
        if found is None:
            return None
        conversation_id, org_id, covers_to = found
        conversation = Conversation.objects.select_for_update().only("id").get(pk=conversation_id)
        ended = turns.update(
            status=Turn.Status.FAILED,
            finished_at=Now(),
            error_code=code,
            error_detail=detail[:500],
            covers_to=None,
            merged_into=None,
            **adding(spent),
        )
        if not ended:
            return None
        if covers_to is not None:
            bursts.free(turn_id)
        Message.objects.filter(turn_id=turn_id, part=Message.Part.MESSAGE).update(unanswered=True)
        Conversation.objects.filter(pk=conversation.pk).update(
            has_error=True, outcome=unless_people_were_called(Conversation.Outcome.FAILED)
        )
    return Ended(conversation_id, org_id)


def adding(spent: Spent) -> dict[str, Any]:
    """Column changes that add what one more attempt used to what the turn's earlier ones did.

    A failed attempt was paid for too. Of one that was lost, or whose claim did not hold any more, nothing is known.
    """
    changes: dict[str, Any] = {
        "prompt_tokens": F("prompt_tokens") + spent.prompt_tokens,
        "completion_tokens": F("completion_tokens") + spent.completion_tokens,
    }
    if spent.cost is not None:
        changes["cost"] = Coalesce(F("cost"), Value(Decimal(0))) + spent.cost
    if spent.model_name:
        changes["model_name"] = spent.model_name[:200]
    return changes


def reopen(turn_id: uuid.UUID, *, conversation: Conversation, request_id: str = "", keeps_text: bool = False) -> bool:
    """Puts a failed turn back into the queue behind everything accepted since; one of many callers wins.

    Inside a transaction that holds the conversation's row, whose `seq` has been advanced for it. Turn and message
    keep their ids, and move with the conversation where the old one was closed. `request_id` is the retry's.
    """
    won = Turn.objects.filter(pk=turn_id, status=Turn.Status.FAILED).update(
        conversation=conversation,
        seq=conversation.seq,
        status=Turn.Status.QUEUED,
        accepted_at=Now(),
        answer_by=Now() + ANSWER_WITHIN,
        claimed_at=None,
        claimed_by=None,
        claimed_epoch=None,
        finished_at=None,
        # `attempt` goes on counting: a claim of before must never look like one of after.
        lost=0,
        keeps_text=keeps_text,
        # Its tool calls are replayed, and they were not about the messages of others.
        covers_to=None,
        rung_at=Now(),
        rings=0,
        error_code="",
        error_detail="",
        **({"request_id": request_id} if request_id else {}),
    )
    if won:
        Message.objects.filter(turn_id=turn_id, part=Message.Part.MESSAGE).update(
            conversation=conversation, seq=conversation.seq, unanswered=False
        )
    return bool(won)


def unless_people_were_called(outcome: Conversation.Outcome) -> Case:
    """`outcome` for a conversation's summary, but neither an answer nor a failure undoes that people were called in."""
    return Case(When(outcome__in=_STICKY, then=F("outcome")), default=Value(outcome))


def requeue_orphans(process_id: int, *, in_hand: list[uuid.UUID]) -> list[Named]:
    """Frees turns that this living process claimed without learning of it, as when the database restarts in between.

    Their lock is held, so no sweep would ever call them lost. Costs the turn nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ORPHANS, {"process": process_id, "in_hand": in_hand})
        return [Named(*row) for row in cursor.fetchall()]


def next_queued(conversation_id: uuid.UUID) -> Named | None:
    """The turn that can be claimed next; whoever ended a turn rings for it after the commit."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_QUEUED, [conversation_id])
        row = cursor.fetchone()
    return Named(*row) if row else None


def next_of_org(org_id: uuid.UUID) -> Named | None:
    """The turn of this organisation that has waited longest and can be claimed; each caller is given another one."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_OF_ORG, {"org": org_id})
        row = cursor.fetchone()
    return Named(*row) if row else None


def in_flight() -> list[tuple[uuid.UUID, uuid.UUID]]:
    """All turns that have not ended, with their organisations."""
    return list(Turn.objects.filter(status__in=Turn.IN_FLIGHT).values_list("id", "org_id"))


def requeue_lost() -> tuple[list[Named], list[Named]]:
    """Frees the turns of processes that died: those back in the queue, and those that were lost too often for it."""
    with connection.cursor() as cursor:
        cursor.execute(_LOST)
        rows = cursor.fetchall()
    freed: list[Named] = []
    given_up: list[Named] = []
    for turn_id, request_id, attempt, lost in rows:
        same = Turn.objects.filter(pk=turn_id, status=Turn.Status.RUNNING, attempt=attempt)
        if lost + 1 >= MAX_LOST:
            if same.update(lost=F("lost") + 1):
                given_up.append(Named(turn_id, request_id))
        elif same.update(
            status=Turn.Status.QUEUED,
            lost=F("lost") + 1,
            claimed_by=None,
            claimed_epoch=None,
            rung_at=Now(),
            rings=0,
        ):
            freed.append(Named(turn_id, request_id))
    return freed, given_up


def overdue() -> list[Named]:
    """Turns past their `answer_by` that nobody has closed yet."""
    late = Turn.objects.filter(status__in=Turn.IN_FLIGHT, answer_by__lte=Now())
    return [Named(*row) for row in late.values_list("id", "request_id")[:200]]


def due_for_another_ring(*, wait: float = 0.0) -> list[Named]:
    """Claimable turns that nobody came for; counts the ring that the caller is about to give.

    A ring that is younger than `wait` seconds may still be heard.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RING_AGAIN, {"wait": wait})
        return [Named(*row) for row in cursor.fetchall()]


def _held(held: Claim) -> QuerySet[Turn]:
    return Turn.objects.filter(
        pk=held.turn_id, status=Turn.Status.RUNNING, claimed_by=held.process_id, attempt=held.attempt
    )
