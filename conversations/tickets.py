"""Tickets: work handed to a team. The row commits with what caused it; what is slow goes through the outbox."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import connection

from conversations.models import Conversation, OutboxItem, Ticket, Turn
from conversations.outgoing import events
from halo.ids import uuid7
from orgs.hours import Away
from orgs.models import Organization, Team, User
from sessions.models import ChatSession, EndUser

SUBJECT_LENGTH = 120

_NEXT_NUMBER = "UPDATE orgs_organization SET ticket_counter = ticket_counter + 1 WHERE id = %s RETURNING ticket_counter"


def open_ticket(
    *,
    org: Organization,
    subject: str,
    message: str,
    source: str,
    session: ChatSession | None = None,
    conversation: Conversation | None = None,
    turn: Turn | None = None,
    requester: EndUser | None = None,
    effect_key: str = "",
    team_id: Any = None,
    assignee: User | None = None,
    priority: str = Ticket.Priority.NORMAL,
    metadata: dict[str, Any] | None = None,
    ticket_id: uuid.UUID | None = None,
) -> Ticket:
    """A new ticket; of an effect at most one, however often that is tried. Inside a transaction."""
    existing = Ticket.objects.for_org(org).filter(effect_key=effect_key).first() if effect_key else None
    if existing is not None:
        return existing
    with connection.cursor() as cursor:
        # Gapless, and the organisation's row serialises those who number at the same time.
        cursor.execute(_NEXT_NUMBER, [org.pk])
        number = cursor.fetchone()[0]
    ticket = Ticket.objects.create(
        id=ticket_id or uuid7(),
        org=org,
        number=number,
        session=session,
        conversation=conversation,
        turn=turn,
        requester=requester,
        team_id=team_id,
        assignee=assignee,
        subject=subject,
        message=message,
        source=source,
        priority=priority,
        metadata=metadata or {},
        effect_key=effect_key,
    )
    if team_id is not None and Team.objects.for_org(org).filter(pk=team_id).exclude(email="").exists():
        OutboxItem.objects.create(
            org=org,
            kind=OutboxItem.Kind.TICKET_EMAIL,
            key=f"ticket:{ticket.pk}",
            ticket=ticket,
            lane=f"mail:{team_id}:{ticket.session_id}" if ticket.session_id else "",
        )
    events.tell_of_ticket(ticket, events.CREATED)
    return ticket


def team_of(org: Organization, team_id: str) -> uuid.UUID | None:
    """The organisation's team of that id; None where there is none, as when it was removed since."""
    found: uuid.UUID | None = (
        Team.objects.for_org(org).filter(pk=team_id).values_list("pk", flat=True).first() if team_id else None
    )
    return found


def open_ticket_of(conversation: Conversation, *, team_id: uuid.UUID | None = None) -> Ticket | None:
    """The conversation's ticket that is still being worked on (by that team), if there is one."""
    found = Ticket.objects.for_org(conversation.org_id).filter(conversation=conversation)
    return (
        (found if team_id is None else found.filter(team=team_id))
        .exclude(status__in=Ticket.SETTLED)
        .select_related("team")
        .order_by("number")
        .first()
    )


def raise_priority(ticket: Ticket, priority: str) -> None:
    """An open ticket becomes a priority one where a later message has priority; it is never lowered.

    Inside a transaction.
    """
    if priority == Ticket.Priority.PRIORITY and ticket.priority != priority:
        ticket.priority = priority
        ticket.save(update_fields=["priority", "updated_at"])
        events.tell_of_ticket(ticket, events.UPDATED, changed=["priority"])


def with_number(text: str, number: int | None, away: Away | None) -> str:
    """`text`, and under it the ticket's number where nobody is there who could answer at once.

    The same in every language, as the words around it are the organisation's own.
    """
    return text if number is None or away is None else f"{text}\n\nTicket #{number}"


def subject_of(text: str) -> str:
    """The first line of `text`, cut to the length of a subject."""
    line = " ".join(text.split())
    return line if len(line) <= SUBJECT_LENGTH else line[: SUBJECT_LENGTH - 1] + "…"
