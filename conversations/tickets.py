"""Tickets: work handed to a team. The row commits with what caused it; what is slow goes through the outbox."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import connection

from conversations.models import Conversation, OutboxItem, Ticket, Turn
from orgs.models import Organization, Team
from sessions.models import ChatSession

SUBJECT_LENGTH = 120

_NEXT_NUMBER = "UPDATE orgs_organization SET ticket_counter = ticket_counter + 1 WHERE id = %s RETURNING ticket_counter"


def open_ticket(
    *,
    org: Organization,
    session: ChatSession | None,
    conversation: Conversation,
    turn: Turn,
    subject: str,
    message: str,
    source: str,
    effect_key: str,
    team_id: Any = None,
    priority: str = Ticket.Priority.NORMAL,
    metadata: dict[str, Any] | None = None,
) -> Ticket:
    """The ticket of this effect, made at most once however often the effect is tried; inside a transaction."""
    existing = Ticket.objects.for_org(org).filter(effect_key=effect_key).first()
    if existing is not None:
        return existing
    with connection.cursor() as cursor:
        # Gapless, and the organisation's row serialises those who number at the same time.
        cursor.execute(_NEXT_NUMBER, [org.pk])
        number = cursor.fetchone()[0]
    ticket = Ticket.objects.create(
        org=org,
        number=number,
        session=session,
        conversation=conversation,
        turn=turn,
        team_id=team_id,
        subject=subject_of(subject),
        message=message,
        source=source,
        priority=priority,
        metadata=metadata or {},
        effect_key=effect_key,
    )
    if team_id is not None and Team.objects.for_org(org).filter(pk=team_id).exclude(email="").exists():
        OutboxItem.objects.create(org=org, kind=OutboxItem.Kind.TICKET_EMAIL, key=f"ticket:{ticket.pk}", ticket=ticket)
    return ticket


def team_of(org: Organization, team_id: str) -> uuid.UUID | None:
    """The organisation's team of that id; None where there is none, as when it was removed since."""
    found: uuid.UUID | None = (
        Team.objects.for_org(org).filter(pk=team_id).values_list("pk", flat=True).first() if team_id else None
    )
    return found


def open_ticket_of(conversation: Conversation) -> Ticket | None:
    """The conversation's ticket that is still being worked on, if there is one."""
    return (
        Ticket.objects.for_org(conversation.org_id)
        .filter(conversation=conversation)
        .exclude(status__in=[Ticket.Status.RESOLVED, Ticket.Status.SPAM])
        .order_by("number")
        .first()
    )


def subject_of(text: str) -> str:
    """The first line of `text`, cut to the length of a subject."""
    line = " ".join(text.split())
    return line if len(line) <= SUBJECT_LENGTH else line[: SUBJECT_LENGTH - 1] + "…"
