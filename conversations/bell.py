"""The bell: a nudge to the workers that a turn is waiting. Losing one costs time, never a turn."""

from __future__ import annotations

import threading
import uuid

import redis
import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from halo import wire
from halo.db import release_connection

log = structlog.get_logger(__name__)
ANSWER_TURN = "conversations.tasks.answer_turn"
SEND_OUTBOX = "conversations.tasks.send_outbox"
REHEARSE = "conversations.tasks.rehearse"
# As many as Celery keeps connections for ringing: who waits for one of those would not see that Redis has gone.
_gate = threading.BoundedSemaphore(10)


def ring(turn_id: uuid.UUID) -> bool:
    """Tells the workers about a queued turn, after its row has committed; False where Redis is away."""
    with structlog.contextvars.bound_contextvars(turn_id=str(turn_id)):
        return _send(ANSWER_TURN, str(turn_id))


def ring_outbox() -> bool:
    """Tells the workers that something is to be sent; beat looks for it anyway."""
    return _send(SEND_OUTBOX)


def ring_rehearsal(person_id: uuid.UUID, key: str) -> bool:
    """Tells the workers that a draft is to be tried out; False where Redis is away."""
    return _send(REHEARSE, str(person_id), key)


def _send(name: str, *args: str) -> bool:
    if wire.is_away():
        return False
    # Ringing may take half a second, during which nobody should sit on a connection of the pool.
    release_connection()
    with _gate:
        if wire.is_away():
            return False  # whoever rang before us has found out
        try:
            # Without `retry=False` a frozen Redis holds the caller for seconds.
            current_app.send_task(name, args=args, retry=False, ignore_result=True)
        except (OperationalError, redis.exceptions.RedisError, OSError) as error:
            wire.mark_away()
            log.warning("bell_not_rung", error=type(error).__name__)
            return False
    return True
