"""Retention, enforced hourly: what an organisation no longer wants kept is deleted, in small steps."""

from __future__ import annotations

import datetime as dt

import structlog
from django.db import DatabaseError, models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from conversations.forgetting import SESSIONS, forget_events, forget_sessions
from conversations.models import Conversation, IdempotencyKey, OutboxItem, Ticket, TurnTrace
from orgs.models import Organization
from sessions.models import SESSION_LIFETIME, ChatSession, EndUser, Event

log = structlog.get_logger(__name__)
BATCH = 500
# A month as retention counts it.
MONTH = dt.timedelta(days=30)
OUTBOX_KEPT = dt.timedelta(days=30)


def run(*, now: dt.datetime | None = None) -> dict[str, int]:
    """Deletes what is past its retention in every organisation; returns how many rows of each kind."""
    now = now or timezone.now()
    kinds = ("keys", "events", "sessions", "traces", "conversations", "tickets", "people", "outbox")
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
    removed["events"] += forget_events(Event.objects.for_org(org).filter(created_at__lt=events_before))
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
    removed["people"] += _forget_people(org, now=now)


def _delete(rows: models.QuerySet[models.Model]) -> int:
    removed = 0
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        removed += rows.model._default_manager.filter(pk__in=keys).delete()[0]
    return removed


def _forget_conversations(org: Organization, *, before: dt.datetime) -> int:
    """Removes whole conversations whose last word is older than `before`, with their sessions."""
    removed = 0
    old = Conversation.objects.for_org(org).filter(last_message_at__lt=before)
    while sessions := list(old.values_list("session_id", flat=True)[:SESSIONS]):
        removed += forget_sessions(org=org, sessions=sessions)["conversations"]
    return removed


def _forget_people(org: Organization, *, now: dt.datetime) -> int:
    """Removes people who were not seen for as long as the organisation says, and of whom nothing else is left."""
    if org.retain_people_months is None:
        return 0
    gone = EndUser.objects.for_org(org).filter(last_seen__lt=now - MONTH * org.retain_people_months)
    theirs = Ticket.objects.for_org(org).filter(requester=OuterRef("pk"))
    return _delete(gone.filter(~Exists(theirs), sessions=None))
