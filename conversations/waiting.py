"""Waiting for a turn to end: on its tape, never by polling in the normal case, and without a database connection."""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from collections.abc import Generator
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q
from django.db.models.functions import Now

from conversations import answering, ending, tape
from conversations.models import Turn
from conversations.tape import Entry
from halo import wire
from halo.db import release_connection
from halo.errors import HaloError, ModelTimeout, NotFound, RateLimited, Unavailable
from orgs.models import Organization

# The row's answer_by (55 s) is the truth; this is only how long a request is held at all.
WAIT_SECONDS = 60.0
PREDECESSOR_SECONDS = 30.0
PREDECESSOR_TIME = dt.timedelta(seconds=PREDECESSOR_SECONDS)
POLL_SECONDS = 0.2
# So many turns a process answers itself while Redis is away; a thread more would be one less to wait with.
HANDS = 32

_hands = threading.BoundedSemaphore(HANDS)


def wait_for(turn_id: uuid.UUID, *, org: Organization, fresh: bool) -> dict[str, Any]:
    """The response of the turn once it has ended; raises the HaloError that its failure is rendered with."""
    following = follow(turn_id, org=org, fresh=fresh)
    while True:
        try:
            next(following)
        except StopIteration as ended:
            return response_of(ended.value)


def follow(turn_id: uuid.UUID, *, org: Organization, fresh: bool) -> Generator[list[Entry], None, Turn]:
    """What comes on the turn's tape, from its beginning, until the turn has ended; then its row is returned.

    No connection to the database is held while it waits. An empty list says that it has waited for some seconds.
    Raises ModelTimeout when a request has been held for as long as any is.
    """
    ends_at = time.monotonic() + WAIT_SECONDS
    accepted_at = time.monotonic()
    offset = tape.START
    # Only of a turn that was queued a moment ago is it known that there is something to wait for.
    row = None if fresh else _look_and_close(org, turn_id)
    while row is None or row.status in Turn.IN_FLIGHT:
        if time.monotonic() >= ends_at:
            raise ModelTimeout
        release_connection()
        try:
            entries = tape.read(turn_id, after=offset, wait_seconds=_patience(accepted_at, ends_at))
        except wire.WireAway:
            row = _without_redis(org, turn_id)
            continue
        if entries:
            offset = entries[-1].offset
        yield entries
        if not entries or any(entry.kind == "done" for entry in entries):
            row = _look_while_database_restarts(org, turn_id, ends_at=ends_at)
    release_connection()
    return row


def _patience(accepted_at: float, ends_at: float) -> float:
    """Until the next moment at which the row must be looked at, tape or not."""
    now = time.monotonic()
    moments = [now + wire.BLOCK_SECONDS, ends_at]
    if now < accepted_at + PREDECESSOR_SECONDS:
        moments.append(accepted_at + PREDECESSOR_SECONDS + 0.05)
    return max(0.01, min(moments) - now)


def _look_while_database_restarts(org: Organization, turn_id: uuid.UUID, *, ends_at: float) -> Turn:
    """The turn was accepted, so a database that is away for a moment is no reason to give its client up."""
    while True:
        try:
            return _look_and_close(org, turn_id)
        except (OperationalError, InterfaceError):
            if time.monotonic() >= ends_at:
                raise
            release_connection()
            time.sleep(POLL_SECONDS)


def _look_and_close(org: Organization, turn_id: uuid.UUID) -> Turn:
    row = _look(org, turn_id)
    return _look(org, turn_id) if _close_if_hopeless(row) else row


def _look(org: Organization, turn_id: uuid.UUID) -> Turn:
    """The turn as it is now, by the database's clock."""
    earlier = Turn.objects.for_org(org).filter(
        conversation=OuterRef("conversation"), seq__lt=OuterRef("seq"), status__in=Turn.IN_FLIGHT
    )
    row = (
        Turn.objects.for_org(org)
        .filter(pk=turn_id)
        .select_related("conversation__session")
        .only("org", "status", "response", "error_code", "conversation__session__session_id")
        .annotate(
            is_overdue=ExpressionWrapper(Q(answer_by__lte=Now()), output_field=BooleanField()),
            is_stuck=ExpressionWrapper(
                Q(accepted_at__lte=Now() - PREDECESSOR_TIME) & Exists(earlier), output_field=BooleanField()
            ),
        )
        .first()
    )
    if row is None:
        raise NotFound
    return row


def _close_if_hopeless(row: Turn) -> bool:
    """Closes what is past its time, by whoever finds out first; True where the row is to be read again."""
    if row.status not in Turn.IN_FLIGHT:
        return False
    if row.is_overdue:  # type: ignore[attr-defined]
        ending.close(row.pk, code="model_timeout", overdue=True)
    elif row.is_stuck and row.status == Turn.Status.QUEUED:  # type: ignore[attr-defined]
        ending.close(row.pk, code="rate_limited", detail="Its predecessor took too long.", queued_only=True)
    else:
        return False
    return True


def _without_redis(org: Organization, turn_id: uuid.UUID) -> Turn:
    """Redis is away, so whoever waits may answer: a few at once, the rest are told to come back."""
    row = _look_and_close(org, turn_id)
    if row.status == Turn.Status.QUEUED:
        if not _hands.acquire(blocking=False):
            ending.close(turn_id, code="unavailable", detail="Redis was away, and all hands full.", queued_only=True)
            return _look(org, turn_id)
        try:
            answering.answer(turn_id)
        finally:
            _hands.release()
        row = _look(org, turn_id)
    if row.status in Turn.IN_FLIGHT:
        # Its predecessor, or another process, is at work; without Redis there is nothing to wait on.
        release_connection()
        time.sleep(POLL_SECONDS)
    return row


def response_of(row: Turn) -> dict[str, Any]:
    """The body of the 200, its keys in the order of the contract; or the failure, raised."""
    if row.status == Turn.Status.FAILED or row.response is None:
        raise failure_of(row.error_code)
    stored = row.response
    body = {
        "text": stored["text"],
        "session_id": row.conversation.session.session_id,
        "agent_id": stored["agent_id"],
        "actions": stored["actions"],
        "confidence": stored["confidence"],
        "citations": stored["citations"],
        "message_id": stored["message_id"],
        "turn_id": str(row.pk),
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
