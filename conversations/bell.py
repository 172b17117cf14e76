"""The bell: a nudge to the workers that a turn is waiting. Losing one costs time, never a turn."""

from __future__ import annotations

import uuid

import structlog

from halo import broker, wire
from halo.db import release_connection

log = structlog.get_logger(__name__)
ANSWER_TURN = "conversations.tasks.answer_turn"
SEND_OUTBOX = "conversations.tasks.send_outbox"
REHEARSE = "conversations.tasks.rehearse"
ERASE = "conversations.tasks.erase"


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


def ring_erasure(erasure_id: uuid.UUID) -> bool:
    """Tells the workers that somebody is to be erased; beat looks for it anyway."""
    return _send(ERASE, str(erasure_id))


def _send(name: str, *args: str) -> bool:
    if wire.is_away():
        return False
    # Ringing may take half a second, during which nobody should sit on a connection of the pool.
    release_connection()
    try:
        broker.post(name, *args)
    except wire.WireAway as away:
        log.warning("bell_not_rung", error=type(away.__cause__).__name__)
        return False
    return True
