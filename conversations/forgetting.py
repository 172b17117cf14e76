"""Deleting whole conversations with everything that hangs on them: for retention, and for people who are erased."""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from conversations import ending, live, tape
from conversations.models import (
    AnswerLabel,
    Conversation,
    IdempotencyKey,
    Message,
    MessageImage,
    Ticket,
    ToolCall,
    Turn,
    TurnTrace,
)
from halo import wire
from orgs.models import Organization
from sessions.models import ChatSession, Event

# Whole sessions, whose rows pass through memory on their way out.
SESSIONS = 50
# Rows that nothing hangs on.
EVENTS = 5_000


def forget_sessions(*, org: Organization, sessions: Collection[uuid.UUID]) -> Counter[str]:
    """Deletes these sessions with their conversations, tickets and events, and what Redis holds of them; what it was.

    In one transaction: about SESSIONS at once. Answers under way are closed first, so that whoever waits is told.
    """
    talks = Conversation.objects.for_org(org).filter(session__in=sessions)
    turns = Turn.objects.for_org(org).filter(conversation__in=talks)
    for turn_id in turns.filter(status__in=Turn.IN_FLIGHT).values_list("pk", flat=True):
        ending.close(turn_id, code="unavailable", detail="the conversation was deleted")
    removed: Counter[str] = Counter()
    removed["events"] += forget_events(Event.objects.for_org(org).filter(session__in=sessions))
    with transaction.atomic():
        # As everywhere: session, conversation, turn.
        _lock(ChatSession.objects.for_org(org).filter(pk__in=sessions))
        conversations = _lock(talks)
        turns = Turn.objects.for_org(org).filter(conversation__in=conversations)
        keys = list(turns.values_list("pk", flat=True))
        # A ticket repeats what the visitor wrote, so it is forgotten with it.
        tickets = Ticket.objects.for_org(org).filter(session__in=sessions)
        removed["tickets"] += _delete(tickets, Ticket)
        removed["tickets"] += _delete(Ticket.objects.for_org(org).filter(conversation__in=conversations), Ticket)
        for model in (ToolCall, TurnTrace, AnswerLabel, IdempotencyKey):
            _delete(model._default_manager.for_org(org).filter(turn__in=keys), model)
        messages = Message.objects.for_org(org).filter(conversation__in=conversations)
        removed["images"] += _delete(MessageImage.objects.for_org(org).filter(message__in=messages), MessageImage)
        removed["messages"] += _delete(messages, Message)
        turns.update(merged_into=None)
        _delete(turns, Turn)
        removed["conversations"] += _delete(
            Conversation.objects.for_org(org).filter(pk__in=conversations), Conversation
        )
        removed["sessions"] += _delete(ChatSession.objects.for_org(org).filter(pk__in=sessions), ChatSession)
    _forget_wires(keys, conversations)
    return removed


def forget_events(rows: QuerySet[Any]) -> int:
    """Deletes what visitors did on the site, in steps."""
    removed = 0
    while keys := list(rows.values_list("pk", flat=True)[:EVENTS]):
        removed += _delete(Event.objects.filter(pk__in=keys), Event)
    return removed


def _delete(rows: QuerySet[Any], model: type[Any]) -> int:
    """Deletes with what cascades from them, and counts the rows of `model` alone."""
    return int(rows.delete()[1].get(model._meta.label, 0))


def _lock(rows: QuerySet[Any]) -> list[uuid.UUID]:
    return list(rows.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))


def _forget_wires(turns: Collection[uuid.UUID], conversations: Collection[uuid.UUID]) -> None:
    """Tapes live for ten minutes at most, so that nothing is lost where Redis is away."""
    names = [*map(tape.key_of, turns), *map(live.key_of, conversations)]
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        for start in range(0, len(names), 1000):
            client.delete(*names[start : start + 1000])
