"""Waiting for a turn to end: on its tape, never by polling in the normal case, and without a database connection."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from django.db import InterfaceError, OperationalError

from conversations import answering, ending, tape
from conversations.lookout import Lookout
from conversations.models import Turn
from conversations.tape import Entry
from halo import db, metrics, wire
from halo.db import release_connection
from halo.errors import HaloError, ModelTimeout, NotFound, RateLimited, Unavailable
from orgs.models import Organization

# The row's answer_by (55 s) is the truth; this is only how long a request is held at all.
WAIT_SECONDS = 60.0
PREDECESSOR_SECONDS = 30.0
POLL_SECONDS = 0.2
# So many turns a process answers itself while Redis is away; a thread more would be one less to wait with.
HANDS = 32

_hands = threading.BoundedSemaphore(HANDS)
_lookout = Lookout(patience=PREDECESSOR_SECONDS)

# Every request reads this once at least, and it took the ORM longer to put together than the rest of the request.
_LOOK = """
SELECT t.status, t.response::text, t.error_code, s.session_id, t.answer_by <= now(),
       t.accepted_at <= now() - interval '1 second' * %(patience)s
       AND t.merged_into_id IS NULL
       AND EXISTS (SELECT FROM conversations_turn AS e
                    WHERE (e.org_id = t.org_id) IS TRUE AND e.conversation_id = t.conversation_id
                      AND e.seq < t.seq AND (e.status IN ('queued', 'running')) IS TRUE),
       t.merged_into_id
  FROM conversations_turn AS t
  JOIN conversations_conversation AS c ON c.id = t.conversation_id
  JOIN chat_sessions_chatsession AS s ON s.id = c.session_id
 WHERE t.id = %(turn)s AND (t.org_id = %(org)s) IS TRUE
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """A turn at one moment; `is_stuck` where an earlier one of its conversation has been in its way for too long.

    `merged_into`: the turn whose answer is this one's too.
    """

    turn_id: uuid.UUID
    status: str
    response: dict[str, Any] | None
    error_code: str
    session_id: str
    is_overdue: bool
    is_stuck: bool
    merged_into: uuid.UUID | None


def wait_for(turn_id: uuid.UUID, *, org: Organization, fresh: bool, session_id: str = "") -> dict[str, Any]:
    """The response of the turn once it has ended; raises the HaloError that its failure is rendered with.

    `session_id`: the turn's, where it is known.
    """
    following = follow(turn_id, org=org, fresh=fresh, session_id=session_id)
    while True:
        try:
            next(following)
        except StopIteration as ended:
            return response_of(ended.value)


def follow(
    turn_id: uuid.UUID,
    *,
    org: Organization,
    fresh: bool,
    session_id: str = "",
    along: bool = False,
    sign_seconds: float = WAIT_SECONDS,
) -> Generator[list[Entry], None, Seen]:
    """What comes on the turn's tape, from its beginning, until the turn has ended; then how it ended is returned.

    That is read in its row, or where `session_id` is known on the tape, if the end tells it there. With `along`, while
    it is answered together with another turn, what comes on that one's tape instead. No connection to the database is
    held while it waits. An empty list says that it has waited for `sign_seconds`. Raises ModelTimeout when a request
    has been held for as long as any is.
    """
    with _lookout.waiting_for(turn_id):
        return (
            yield from _follow(
                turn_id, org=org, fresh=fresh, session_id=session_id, along=along, sign_seconds=sign_seconds
            )
        )


def _follow(
    turn_id: uuid.UUID, *, org: Organization, fresh: bool, session_id: str, along: bool, sign_seconds: float
) -> Generator[list[Entry], None, Seen]:
    ends_at = time.monotonic() + WAIT_SECONDS
    # How far each tape was read.
    offsets = {turn_id: tape.START}
    source = turn_id
    # Only of a turn that was queued a moment ago is it known that there is something to wait for.
    row = None if fresh else _look_and_close(org, turn_id)
    while row is None or row.status in Turn.IN_FLIGHT:
        left = ends_at - time.monotonic()
        if left <= 0:
            raise ModelTimeout
        release_connection()
        if along and row is not None:
            source = row.merged_into or turn_id
            if source not in offsets:
                # Its answer is written there for whoever opens it.
                tape.open_for(source)
        try:
            entries = tape.read(source, after=offsets.get(source, tape.START), wait_seconds=min(left, sign_seconds))
        except wire.WireAway:
            row = _without_redis(org, turn_id)
            continue
        if entries:
            offsets[source] = entries[-1].offset
        yield entries
        told = entries[-1].data.get("response") if entries and entries[-1].kind == "done" else None
        if told is not None and session_id and source == turn_id:
            return _told(turn_id, told, session_id=session_id)
        if any(entry.kind in ("done", "look") or (along and entry.kind == "merged") for entry in entries):
            row = _look_while_database_restarts(org, turn_id, ends_at=ends_at)
    release_connection()
    return row


def _told(turn_id: uuid.UUID, response: dict[str, Any], *, session_id: str) -> Seen:
    """What the row of a turn says whose end was told after the commit, with what was stored: nothing changes it."""
    return Seen(
        turn_id=turn_id,
        status=Turn.Status.DONE,
        response=response,
        error_code="",
        session_id=session_id,
        is_overdue=False,
        is_stuck=False,
        merged_into=None,
    )


def _look_while_database_restarts(org: Organization, turn_id: uuid.UUID, *, ends_at: float) -> Seen:
    """The turn was accepted, so a database that is away for a moment is no reason to give its client up."""
    while True:
        try:
            return _look_and_close(org, turn_id)
        except (OperationalError, InterfaceError):
            if time.monotonic() >= ends_at:
                raise
            release_connection()
            time.sleep(POLL_SECONDS)


def _look_and_close(org: Organization, turn_id: uuid.UUID) -> Seen:
    row = look(org, turn_id)
    return look(org, turn_id) if _close_if_hopeless(row) else row


def look(org: Organization, turn_id: uuid.UUID) -> Seen:
    """The turn as it is now, by the database's clock; raises NotFound."""
    rows = db.run(_LOOK, {"turn": turn_id, "org": org.pk, "patience": PREDECESSOR_SECONDS})
    if not rows:
        raise NotFound
    status, response, error_code, session_id, is_overdue, is_stuck, merged_into = rows[0]
    return Seen(
        turn_id=turn_id,
        status=status,
        response=None if response is None else json.loads(response),
        error_code=error_code,
        session_id=session_id,
        is_overdue=is_overdue,
        is_stuck=is_stuck,
        merged_into=merged_into,
    )


def _close_if_hopeless(row: Seen) -> bool:
    """Closes what is past its time, by whoever finds out first; True where the row is to be read again."""
    if row.status not in Turn.IN_FLIGHT:
        return False
    if row.is_overdue:
        ending.close(row.turn_id, code="model_timeout", overdue=True)
    elif row.is_stuck and row.status == Turn.Status.QUEUED:
        ending.close(row.turn_id, code="rate_limited", detail="Its predecessor took too long.", queued_only=True)
    else:
        return False
    return True


def _without_redis(org: Organization, turn_id: uuid.UUID) -> Seen:
    """Redis is away, so whoever waits may answer: a few at once, the rest are told to come back."""
    row = _look_and_close(org, turn_id)
    # What another turn's answer answers too needs no hand of its own.
    if row.status == Turn.Status.QUEUED and row.merged_into is None:
        if not _hands.acquire(blocking=False):
            metrics.count("halo_shed_total", "hands")
            ending.close(turn_id, code="unavailable", detail="Redis was away, and all hands full.", queued_only=True)
            return look(org, turn_id)
        try:
            answering.answer(turn_id)
        finally:
            _hands.release()
        row = look(org, turn_id)
    if row.status in Turn.IN_FLIGHT:
        # Its predecessor, or another process, is at work; without Redis there is nothing to wait on.
        release_connection()
        time.sleep(POLL_SECONDS)
    return row


def response_of(row: Seen) -> dict[str, Any]:
    """The body of the 200, its keys in the order of the contract; or the failure, raised."""
    if row.status == Turn.Status.FAILED or row.response is None:
        raise failure_of(row.error_code)
    stored = row.response
    body = {
        "text": stored["text"],
        "session_id": row.session_id,
        "agent_id": stored["agent_id"],
        "actions": stored["actions"],
        "confidence": stored["confidence"],
        "citations": stored["citations"],
        "message_id": stored["message_id"],
        "turn_id": str(row.turn_id),
    }
    if "routing" in stored:
        body["routing"] = stored["routing"]
    return body


def failure_of(error_code: str) -> HaloError:
    """The error that a failed turn is answered with."""
    if error_code == "model_timeout":
        return ModelTimeout()
    if error_code == "rate_limited":
        return RateLimited(retry_after=5, message="Your earlier message is still being answered; please try again.")
    return Unavailable("The answer could not be given; please try again.")
