"""What follows when a turn has ended: whoever waits is told, and the conversation's next turn is rung for."""

from __future__ import annotations

import uuid

from conversations import bell, tape, turns
from conversations.turns import NOTHING_SPENT, Claim, Spent


def announce(turn_id: uuid.UUID, conversation_id: uuid.UUID, *, attempt: int = 0) -> None:
    """Tells waiters to read the row and rings for the next turn; call it after the commit that ended the turn."""
    tape.append(turn_id, attempt=attempt, kind="done")
    following = turns.next_queued(conversation_id)
    if following is not None:
        bell.ring(following)


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
    conversation_id = turns.close_unanswered(
        turn_id, code=code, detail=detail, held=held, overdue=overdue, queued_only=queued_only, spent=spent
    )
    if conversation_id is None:
        return False
    announce(turn_id, conversation_id)
    return True
