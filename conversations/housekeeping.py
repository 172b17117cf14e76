"""Retention, enforced hourly: what an organisation no longer wants kept is deleted, in small steps."""

from __future__ import annotations

import datetime as dt

import structlog
from django.db import DatabaseError, models, transaction
from django.db.models import Q
from django.utils import timezone

from conversations.models import (
    Conversation,
    IdempotencyKey,
    Message,
    OutboxItem,
    Ticket,
    ToolCall,
    Turn,
    TurnTrace,
)
from orgs.models import Organization
from sessions.models import SESSION_LIFETIME, ChatSession, Event

log = structlog.get_logger(__name__)
BATCH = 500
# Rows that nothing hangs on, and that come by the thousand a second.
EVENTS = 5_000
# Whole conversations, whose texts pass through memory on their way out.
CONVERSATIONS = 50
# A month as retention counts it.
MONTH = dt.timedelta(days=30)
OUTBOX_KEPT = dt.timedelta(days=30)


def run(*, now: dt.datetime | None = None) -> dict[str, int]:
    """Deletes what is past its retention in every organisation; returns how many rows of each kind."""
    now = now or timezone.now()
    kinds = ("keys", "events", "sessions", "traces", "conversations", "tickets", "outbox")
    removed = dict.fromkeys(kinds, 0)
    removed["keys"] = _delete(IdempotencyKey.objects.filter(expires_at__lte=now))
    ended = Q(done_at__lte=now - OUTBOX_KEPT) | Q(dead_at__lte=now - OUTBOX_KEPT)
    removed["outbox"] = _delete(OutboxItem.objects.filter(ended))
    for org in Organization.objects.all():
        try:
            _keep_house_of(org, removed, now=now)
        except DatabaseError:
            # One organisation's trouble must not keep the others' data for longer than they said.
            log.exception("housekeeping_failed", org=str(org.pk))
    return removed


def _keep_house_of(org: Organization, removed: dict[str, int], *, now: dt.datetime) -> None:
    events_before = now - dt.timedelta(days=org.retain_events_days)
    traces_before = now - dt.timedelta(days=org.retain_traces_days)
    removed["events"] += _delete(Event.objects.for_org(org).filter(created_at__lt=events_before), batch=EVENTS)
    removed["traces"] += _delete(TurnTrace.objects.for_org(org).filter(created_at__lt=traces_before))
    # Sessions in which things were done and nothing was said.
    silent = ChatSession.objects.for_org(org).filter(conversation=None, tickets=None)
    removed["sessions"] += _delete(silent.filter(started_at__lt=events_before - SESSION_LIFETIME))
    words_before = now - MONTH * org.retain_messages_months
    removed["conversations"] += _forget_conversations(org, before=words_before)
    removed["tickets"] += _delete(
        # Those that were sent in; the others go with their conversations.
        Ticket.objects.for_org(org).filter(conversation=None, turn=None, updated_at__lt=words_before)
    )


def _delete(rows: models.QuerySet[models.Model], *, batch: int = BATCH) -> int:
    removed = 0
    while keys := list(rows.values_list("pk", flat=True)[:batch]):
        removed += rows.model._default_manager.filter(pk__in=keys).delete()[0]
    return removed


def _forget_conversations(org: Organization, *, before: dt.datetime) -> int:
    """Removes whole conversations whose last word is older than `before`, with their sessions."""
    removed = 0
    old = Conversation.objects.for_org(org).filter(last_message_at__lt=before)
    while rows := list(old.values_list("pk", "session_id")[:CONVERSATIONS]):
        conversations = [row[0] for row in rows]
        sessions = [row[1] for row in rows]
        with transaction.atomic():
            turns = Turn.objects.for_org(org).filter(conversation__in=conversations)
            # A ticket repeats what the visitor wrote, so it is forgotten with it.
            Ticket.objects.for_org(org).filter(conversation__in=conversations).delete()
            ToolCall.objects.for_org(org).filter(turn__in=turns).delete()
            TurnTrace.objects.for_org(org).filter(turn__in=turns).delete()
            IdempotencyKey.objects.for_org(org).filter(turn__in=turns).delete()
            Message.objects.for_org(org).filter(conversation__in=conversations).delete()
            turns.update(merged_into=None)
            turns.delete()
            Conversation.objects.for_org(org).filter(pk__in=conversations).delete()
            ChatSession.objects.for_org(org).filter(pk__in=sessions).delete()
        removed += len(rows)
    return removed
