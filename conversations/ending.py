"""What follows when a turn has ended: whoever waits is told, and the conversation's next turn is rung for."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Collection

import structlog

from conversations import admission, bell, live, tape, turns
from conversations.turns import NOTHING_SPENT, Claim, Spent
from halo import metrics, wire

log = structlog.get_logger(__name__)


def announce_held(held: Claim, *, merged: Collection[uuid.UUID], was_last: bool = False, response: str = "") -> None:
    """`announce` for a claimed turn and those that were answered with it."""
    for turn_id in merged:
        _tell(turn_id, org_id=held.org_id, attempt=held.attempt)
    announce(
        held.turn_id,
        held.conversation_id,
        org_id=held.org_id,
        attempt=held.attempt,
        was_last=was_last,
        response=response,
    )


def announce(
    turn_id: uuid.UUID,
    conversation_id: uuid.UUID,
    *,
    org_id: uuid.UUID,
    attempt: int = 0,
    was_last: bool = False,
    response: str = "",
) -> None:
    """Tells waiters and watchers that it has ended, frees the turn's place and rings for the next turn.

    Call it after the commit that ended the turn. `was_last`: whoever ended it saw, holding the conversation's row, that
    nothing was said after it. `response`: what was stored; without it who waits reads the row.
    """
    _tell(turn_id, org_id=org_id, attempt=attempt, conversation_id=conversation_id, response=response)
    following = None if was_last else turns.next_queued(conversation_id)
    if following is not None:
        # From here on it is about another request.
        with structlog.contextvars.bound_contextvars(request_id=following.request_id):
            bell.ring(following.turn_id)


def _tell(
    turn_id: uuid.UUID,
    *,
    org_id: uuid.UUID,
    attempt: int,
    conversation_id: uuid.UUID | None = None,
    response: str = "",
) -> None:
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        pipe = client.pipeline(transaction=False)
        tape.end(pipe, turn_id, attempt=attempt, response=response)
        admission.free(pipe, turn_id, org_id=org_id)
        if conversation_id is not None:
            live.add(pipe, conversation_id, org_id=org_id)
        pipe.execute()


def close(
    turn_id: uuid.UUID,
    *,
    code: str,
    detail: str = "",
    held: Claim | None = None,
    overdue: bool = False,
    queued_only: bool = False,
    spent: Spent = NOTHING_SPENT,
) -> bool:
    """Closes a turn without an answer (turns.close_unanswered) and announces it; False where there was nothing to."""
    ended = turns.close_unanswered(
        turn_id, code=code, detail=detail, held=held, overdue=overdue, queued_only=queued_only, spent=spent
    )
    if ended is None:
        return False
    log.info("turn_closed", turn_id=str(turn_id), code=code)
    metrics.count("halo_turns_total", code)
    announce(turn_id, ended.conversation_id, org_id=ended.org_id)
    return True
