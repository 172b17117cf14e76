"""A page of records for a program, and the cursor that leads on."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from conversations.models import Conversation, Message, Ticket
from conversations.records.cursors import SETTLED, Asked, cursor_of
from conversations.records.shown import conversations_shown, messages_shown, tickets_shown
from halo.api import dates
from halo.db import release_connection
from halo.errors import NotFound
from orgs.models import Organization


def list_conversations(*, org: Organization, asked: Asked) -> dict[str, Any]:
    """The conversations that changed after the cursor, in the order of their last change."""
    rows = _changed(Conversation.objects.for_org(org), asked)
    return _page(conversations_shown(rows[: asked.limit + 1]), asked, "updated_at")


def list_tickets(*, org: Organization, asked: Asked) -> dict[str, Any]:
    """The tickets that changed after the cursor, in the order of their last change."""
    rows = _changed(Ticket.objects.for_org(org), asked)
    return _page(tickets_shown(rows[: asked.limit + 1]), asked, "updated_at")


def list_messages(*, org: Organization, asked: Asked) -> dict[str, Any]:
    """The messages after the cursor in the order in which they were stored, of all conversations or of one.

    Raises NotFound for a conversation that is unknown or another organisation's.
    """
    rows = Message.objects.for_org(org).filter(id__lt=_floor(_settled())).order_by("id")
    if asked.conversation_id is not None:
        if not Conversation.objects.for_org(org).filter(pk=asked.conversation_id).exists():
            raise NotFound
        # What is read of one conversation is read by it: its messages are few, the organisation's are not.
        keys = list(
            Message.objects.for_org(org).filter(conversation=asked.conversation_id).values_list("id", flat=True)
        )
        rows = rows.filter(id__in=keys)
    if asked.updated_since is not None:
        rows = rows.filter(id__gte=_floor(asked.updated_since))
    if asked.after is not None:
        rows = rows.filter(id__gt=asked.after[1])
    return _page(messages_shown(org, rows[: asked.limit + 1]), asked, "created_at")


def _changed(rows: QuerySet[Any], asked: Asked) -> QuerySet[Any]:
    found = rows.filter(updated_at__lt=_settled()).order_by("updated_at", "id")
    if asked.updated_since is not None:
        found = found.filter(updated_at__gte=asked.updated_since)
    if asked.after is not None:
        at, key = asked.after
        found = found.filter(updated_at__gte=at).filter(Q(updated_at__gt=at) | Q(id__gt=key))
    return found


def _page(shown: list[dict[str, Any]], asked: Asked, by: str) -> dict[str, Any]:
    release_connection()
    page, more = shown[: asked.limit], len(shown) > asked.limit
    cursor = None
    if page:
        at = dates.read(page[-1][by])
        assert at is not None
        cursor = cursor_of(at, uuid.UUID(page[-1]["id"]))
    elif asked.after is not None:
        cursor = cursor_of(*asked.after)
    return {"data": page, "cursor": cursor, "more": more}


def _settled() -> dt.datetime:
    """What was written before this has been committed, or never will be; by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    settled: dt.datetime = now - SETTLED
    return settled


def _floor(at: dt.datetime) -> uuid.UUID:
    """The smallest UUIDv7 of this millisecond."""
    milliseconds = max(0, int(at.timestamp() * 1000))
    return uuid.UUID(int=milliseconds << 80)
