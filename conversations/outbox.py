"""What is slow about a ticket: sent after the commit, tried again with growing pauses, given up visibly."""

from __future__ import annotations

import datetime as dt

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import timezone

from conversations.models import OutboxItem

log = structlog.get_logger(__name__)
MAX_ATTEMPTS = 8
FIRST_PAUSE = dt.timedelta(seconds=30)
BATCH = 50
# A sender that dies in mid-send leaves its item to the others after this time.
LEASE = dt.timedelta(minutes=5)


def send_due() -> int:
    """Sends what is due and returns how much was sent; several senders at once do not send the same item."""
    sent = 0
    for item in _take():
        try:
            _send(item)
        except Exception as error:
            _put_off(item, type(error).__name__)
        else:
            item.done_at = timezone.now()
            item.error = ""
            item.save(update_fields=["done_at", "error"])
            sent += 1
    return sent


def _take() -> list[OutboxItem]:
    """Leases the items that are due: sending is network, so no transaction is open while it happens."""
    with transaction.atomic():
        items = list(
            OutboxItem.objects.due(now=timezone.now())
            .select_related("ticket__team")
            .select_for_update(of=("self",), skip_locked=True)
            .order_by("next_attempt_at", "id")[:BATCH]
        )
        for item in items:
            item.attempts += 1
            item.next_attempt_at = timezone.now() + LEASE
        OutboxItem.objects.bulk_update(items, ["attempts", "next_attempt_at"])
    return items


def _send(item: OutboxItem) -> None:
    ticket = item.ticket
    if ticket is None or ticket.team is None or not ticket.team.email:
        return
    link = f"{settings.HALO_PUBLIC_URL or f'http://127.0.0.1:{settings.HALO_PORT}'}"
    EmailMessage(
        # A subject is a header: it must stay on one line.
        subject=" ".join(f"[#{ticket.number}] {ticket.subject}".split())[:200],
        body=f"{ticket.message}\n\n{link}/admin/conversations/ticket/{ticket.pk}/change/\n",
        to=[ticket.team.email],
        # A mail server that has seen this id drops the repeat of an attempt whose outcome we did not learn.
        headers={"Message-ID": f"<{item.key.replace(':', '.')}@halo>"},
    ).send()


def _put_off(item: OutboxItem, error: str) -> None:
    log.warning("outbox_failed", kind=item.kind, attempts=item.attempts, error=error)
    item.error = error
    if item.attempts >= MAX_ATTEMPTS:
        item.dead_at = timezone.now()
    else:
        item.next_attempt_at = timezone.now() + FIRST_PAUSE * 2 ** (item.attempts - 1)
    item.save(update_fields=["error", "dead_at", "next_attempt_at"])
