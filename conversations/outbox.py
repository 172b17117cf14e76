"""What is slow about a ticket: sent after the commit, tried again with growing pauses, given up visibly."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from conversations import bell
from conversations.models import OutboxItem
from conversations.outgoing import hooks, mail
from halo.errors import HaloError
from orgs import audit
from orgs.models import User
from orgs.services import Conflict

log = structlog.get_logger(__name__)
MAX_ATTEMPTS = 8
FIRST_PAUSE = dt.timedelta(seconds=30)
BATCH = 50
# A sender that dies in mid-send leaves its item to the others after this time.
LEASE = dt.timedelta(minutes=5)
# What stands in the error of an item that was done with without sending anything.
NOT_NEEDED = "Not needed: it was seen, is switched off, or there is no address."
# Each makes one attempt and says whether there was anything to send.
SENDERS: dict[str, Callable[[OutboxItem], bool]] = {
    OutboxItem.Kind.TICKET_EMAIL: mail.send_ticket,
    OutboxItem.Kind.REPLY_EMAIL: mail.send_replies,
    OutboxItem.Kind.WEBHOOK: hooks.send,
}
# What a sender reads of its item.
_READS = ("ticket__team", "webhook", "conversation__org", "conversation__session__end_user")


def send_due() -> int:
    """Sends what is due and returns how much was sent; several senders at once do not send the same item."""
    sent = 0
    for _ in range(BATCH):
        item = _take()
        if item is None:
            break
        try:
            was_sent = SENDERS[item.kind](item)
        except Exception as error:
            _put_off(item, error.message[:500] if isinstance(error, HaloError) else type(error).__name__)
        else:
            # Whoever has it by now: it was sent.
            _items(item).update(done_at=timezone.now(), dead_at=None, error="" if was_sent else NOT_NEEDED)
            sent += was_sent
    return sent


def _take() -> OutboxItem | None:
    """Leases one item that is due: sending is network, so no transaction is open while it happens.

    One at a time, since the lease of a whole batch would run out before a slow mail server got to the last of it.
    """
    now = timezone.now()
    with transaction.atomic():
        item: OutboxItem | None = (
            OutboxItem.objects.due(now=now)
            .select_related(*_READS)
            .select_for_update(of=("self",), skip_locked=True)
            .order_by("next_attempt_at", "id")
            .first()
        )
        if item is not None:
            item.attempts += 1
            item.next_attempt_at = now + LEASE
            item.save(update_fields=["attempts", "next_attempt_at"])
    return item


@transaction.atomic
def repeat(*, item: OutboxItem, by: User) -> None:
    """Has what was given up sent again, with all of its attempts; raises Conflict where it was not given up.

    It goes out under its old id. What was behind it in its lane has gone ahead meanwhile.
    """
    now = timezone.now()
    dead = OutboxItem.objects.for_org(item.org_id).filter(pk=item.pk, done_at=None, dead_at__isnull=False)
    if not dead.update(dead_at=None, attempts=0, next_attempt_at=now, repeated_by=by):
        raise Conflict("It is not given up: it was delivered, or is being tried.")
    audit.record(
        org=item.org_id,
        actor=by,
        action="delivery.repeated",
        target=item,
        before={"attempts": item.attempts, "error": item.error},
    )
    transaction.on_commit(bell.ring_outbox)


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
