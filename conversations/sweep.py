"""What makes the queue only a nudge: every two seconds someone looks at the rows themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import structlog

from conversations import admission, bell, ending, in_hand, turns
from halo import metrics

log = structlog.get_logger(__name__)


def free_orphans(process_id: int) -> None:
    """What this process has claimed without knowing goes back to the queue."""
    for turn in turns.requeue_orphans(process_id, in_hand=in_hand.turn_ids()):
        with _about(turn, "orphan"):
            log.warning("orphan_freed")
            bell.ring(turn.turn_id)


def run(*, may_free: bool) -> None:
    """One tick: free the turns of dead processes (if `may_free`), close what is overdue, ring for what waits."""
    metrics.count("halo_sweeps_total")
    if may_free:
        freed, given_up = turns.requeue_lost()
        for turn in freed:
            with _about(turn, "freed"):
                log.warning("turn_freed")
                bell.ring(turn.turn_id)
        for turn in given_up:
            with _about(turn, "given_up"):
                log.error("turn_given_up")
                ending.close(turn.turn_id, code="unavailable", detail=f"Its process was lost {turns.MAX_LOST} times.")
    for turn in turns.overdue():
        with _about(turn, "overdue"):
            ending.close(turn.turn_id, code="model_timeout", overdue=True)
    for turn in turns.due_for_another_ring(wait=2 * admission.seconds_to_be_heard()):
        with _about(turn, "rung"):
            bell.ring(turn.turn_id)
    metrics.count("halo_swept_total", "place", by=admission.set_right())


@contextlib.contextmanager
def _about(turn: turns.Named, action: str) -> Iterator[None]:
    """Counts what is done to a turn, and has all log lines about it name the turn and its request."""
    metrics.count("halo_swept_total", action)
    with structlog.contextvars.bound_contextvars(turn_id=str(turn.turn_id), request_id=turn.request_id):
        yield
