"""What is slow about a ticket: sent after the commit, tried again with growing pauses, given up visibly."""

from __future__ import annotations

import datetime as dt

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
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
    for _ in range(BATCH):
        item = _take()
        if item is None:
            break
        try:
            _send(item)
        except Exception as error:
            _put_off(item, type(error).__name__)
        else:
            # Whoever has it by now: it was sent.
            _items(item).update(done_at=timezone.now(), dead_at=None, error="")
            sent += 1
    return sent


def _take() -> OutboxItem | None:
    """Leases one item that is due: sending is network, so no transaction is open while it happens.

    One at a time, since the lease of a whole batch would run out before a slow mail server got to the last of it.
    """
    now = timezone.now()
    with transaction.atomic():
        item: OutboxItem | None = (
            OutboxItem.objects.due(now=now)
            .select_related("ticket__team")
            .select_for_update(of=("self",), skip_locked=True)
            .order_by("next_attempt_at", "id")
            .first()
        )
        if item is not None:
            item.attempts += 1
            item.next_attempt_at = now + LEASE
            item.save(update_fields=["attempts", "next_attempt_at"])
    return item


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
    is_dead = item.attempts >= MAX_ATTEMPTS
    # Where the lease ran out meanwhile, the item is another sender's.
    _items(item).filter(attempts=item.attempts).update(
        error=error,
        dead_at=timezone.now() if is_dead else None,
        next_attempt_at=timezone.now() + FIRST_PAUSE * 2 ** (item.attempts - 1),
    )


def _items(item: OutboxItem) -> QuerySet[OutboxItem]:
    """The item, as long as nobody has sent it."""
    found: QuerySet[OutboxItem] = OutboxItem.objects.for_org(item.org_id).filter(pk=item.pk, done_at=None)
    return found
