"""What makes the queue only a nudge: every two seconds someone looks at the rows themselves."""

from __future__ import annotations

import structlog

from conversations import bell, ending, in_hand, turns

log = structlog.get_logger(__name__)


def free_orphans(process_id: int) -> None:
    """What this process has claimed without knowing goes back to the queue."""
    for turn_id in turns.requeue_orphans(process_id, in_hand=in_hand.turn_ids()):
        log.warning("orphan_freed", turn_id=str(turn_id))
        bell.ring(turn_id)


def run(*, may_free: bool) -> None:
    """One tick: free the turns of dead processes (if `may_free`), close what is overdue, ring for what waits."""
    if may_free:
        freed, given_up = turns.requeue_lost()
        for turn_id in freed:
            log.warning("turn_freed", turn_id=str(turn_id))
            bell.ring(turn_id)
        for turn_id in given_up:
            log.error("turn_given_up", turn_id=str(turn_id))
            ending.close(turn_id, code="unavailable", detail=f"Its process was lost {turns.MAX_LOST} times.")
    for turn_id in turns.overdue():
        ending.close(turn_id, code="model_timeout", overdue=True)
    for turn_id in turns.due_for_another_ring():
        bell.ring(turn_id)
