"""Turns that end in the transaction that accepts them: no model is asked."""

from __future__ import annotations

from django.db import transaction

from conversations import live, measuring
from conversations.models import Message, Turn
from conversations.recording import Reply, settle


def left_to_teammate(text: str) -> Reply:
    """What a visitor is answered while a person has the conversation."""
    return Reply(outcome=Turn.Outcome.HUMAN, text=text, author=Message.Author.SYSTEM, routing={"action": "human"})


def leave_to_teammate(turn: Turn, text: str) -> None:
    """Ends `turn`, which the person who took over will answer."""
    settle_at_once(turn, left_to_teammate(text))


def settle_at_once(turn: Turn, reply: Reply) -> None:
    """Ends `turn` with `reply`; it is counted, and whoever watches the conversation is told, after the commit."""
    settle(turn, reply)
    transaction.on_commit(lambda: measuring.count_answer(reply.outcome))
    # Other tabs of the visitor's, and teammates who have the conversation open.
    transaction.on_commit(lambda: live.tell(turn.conversation_id, org_id=turn.org_id))
