"""What is told of tickets: written down with the change itself, and sent to every webhook in order."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction
from django.utils import timezone

from conversations import bell
from conversations.models import OutboxItem, Ticket, Webhook
from halo.api.dates import written
from halo.ids import uuid7

CREATED, UPDATED, TEST = "ticket.created", "ticket.updated", "webhook.test"


def tell_of_ticket(ticket: Ticket, event: str, *, changed: list[str] | None = None) -> None:
    """Queues `event` for every active webhook of the ticket's organisation; inside the transaction of the change."""
    hooks = list(Webhook.objects.for_org(ticket.org_id).filter(is_active=True).only("id", "org"))
    if not hooks:
        return
    data = ticket_data(ticket)
    if changed is not None:
        data["changed"] = changed
    for hook in hooks:
        queue(hook, event, data, ticket=ticket)
    transaction.on_commit(bell.ring_outbox)


def queue(
    hook: Webhook, event: str, data: dict[str, Any], *, ticket: Ticket | None = None, now: dt.datetime | None = None
) -> OutboxItem:
    """One call that is to be made; calls about one session (else: one ticket) reach a webhook in order."""
    about = (ticket.session_id or ticket.pk) if ticket is not None else ""
    item: OutboxItem = OutboxItem.objects.create(
        org_id=hook.org_id,
        kind=OutboxItem.Kind.WEBHOOK,
        key=f"msg_{uuid7().hex}",
        webhook=hook,
        ticket=ticket,
        payload={"type": event, "timestamp": written(now or timezone.now()), "data": data},
        lane=f"hook:{hook.pk}:{about}" if about else "",
    )
    return item


def ticket_data(ticket: Ticket) -> dict[str, Any]:
    """A ticket as other systems read it: ids, words and state; never the session's bearer value."""
    person = ticket.requester or (ticket.session.end_user if ticket.session is not None else None)
    return {
        "id": str(ticket.pk),
        "number": ticket.number,
        "subject": ticket.subject,
        "message": ticket.message,
        "summary": ticket.summary,
        "status": ticket.status,
        "priority": ticket.priority,
        "source": ticket.source,
        "team": {"id": str(ticket.team_id), "name": ticket.team.name} if ticket.team is not None else None,
        "assignee": {"name": str(ticket.assignee), "email": ticket.assignee.email} if ticket.assignee else None,
        "due_at": _time(ticket.due_at),
        "snoozed_until": _time(ticket.snoozed_until),
        "conversation_id": str(ticket.conversation_id) if ticket.conversation_id else None,
        "requester": {
            "id": str(person.pk),
            "user_id": person.external_id or None,
            "name": person.name or None,
            "email": person.email or None,
        }
        if person is not None
        else None,
        "metadata": ticket.metadata,
        "created_at": written(ticket.created_at),
        "updated_at": written(ticket.updated_at),
    }


def _time(moment: dt.datetime | None) -> str | None:
    return written(moment) if moment is not None else None
