"""How an answering process leaves: it claims nothing more, gives its turns a moment, and returns the rest."""

from __future__ import annotations

import time

import structlog
from django.db import DatabaseError

from conversations import bell, in_hand, processes, turns
from halo import metrics
from halo.db import release_connection

log = structlog.get_logger(__name__)
GRACE_SECONDS = 5.0


def leave(*, grace_seconds: float = GRACE_SECONDS) -> int:
    """Stops claiming, waits for what is in hand, and returns the rest to the queue at no cost; how many those were."""
    processes.stop_claiming()
    ends_at = time.monotonic() + grace_seconds
    while in_hand.claims() and time.monotonic() < ends_at:
        time.sleep(0.05)
    rest = in_hand.claims()
    returned = 0
    for held in rest:
        try:
            with structlog.contextvars.bound_contextvars(turn_id=str(held.turn_id), request_id=held.request_id):
                if turns.give_back(held):
                    log.info("turn_returned")
                    bell.ring(held.turn_id)
                    returned += 1
        except DatabaseError:
            # The lock dies with this process, so the sweep finds the turn.
            log.warning("turn_not_returned", turn_id=str(held.turn_id), request_id=held.request_id)
    release_connection()
    metrics.flush()
    if rest:
        log.info("turns_returned", count=returned)
    return len(rest)
