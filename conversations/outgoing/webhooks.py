"""Webhooks: adding, changing, testing and rotating them. Who may is decided by the pages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from conversations import bell
from conversations.models import Webhook
from conversations.outgoing import events, hooks
from halo.errors import InvalidRequest
from orgs import audit
from orgs.models import User
from orgs.services import Conflict

# An event is told to each of them.
MOST = 10
COLUMNS = ("label", "url", "is_active")


@transaction.atomic
def add_webhook(*, hook: Webhook, by: User | None) -> str:
    """Stores an unsaved webhook and returns its secret, which is shown once; raises Conflict or InvalidRequest."""
    hook.url = _checked(hook.url)
    if Webhook.objects.for_org(hook.org_id).count() >= MOST:
        raise Conflict(f"An organisation has at most {MOST} webhooks.")
    secret = hook.secret = hooks.new_secret()
    hook.save(force_insert=True)
    audit.record(org=hook.org_id, actor=by, action="webhook.added", target=hook, after=audit.state(hook, COLUMNS))
    return secret


@transaction.atomic
def change_webhook(*, hook: Webhook, names: Iterable[str], by: User | None) -> None:
    """Writes the named ones of COLUMNS; raises InvalidRequest."""
    names = [name for name in names if name in COLUMNS]
    if not names:
        return
    stored = Webhook.objects.for_org(hook.org_id).select_for_update(of=("self",)).get(pk=hook.pk)
    before = audit.state(stored, names)
    hook.url = _checked(hook.url)
    hook.save(update_fields=names)
    was, now_is = audit.changes(before, audit.state(hook, names))
    if now_is:
        audit.record(org=hook.org_id, actor=by, action="webhook.changed", target=hook, before=was, after=now_is)


@transaction.atomic
def rotate_secret(*, hook: Webhook, grace: dt.timedelta, by: User | None, now: dt.datetime | None = None) -> str:
    """A new secret, returned to be shown once; the one before signs beside it for `grace` more."""
    ends = (now or timezone.now()) + grace
    row = Webhook.objects.for_org(hook.org_id).select_for_update(of=("self",)).get(pk=hook.pk)
    row.old_secret, row.old_secret_until, row.secret = row.secret, ends, hooks.new_secret()
    row.save(update_fields=["old_secret", "old_secret_until", "secret"])
    after = {"old_one_signs_until": ends.isoformat()}
    audit.record(org=row.org_id, actor=by, action="webhook.rotated", target=row, after=after)
    return row.secret


@transaction.atomic
def send_test(*, hook: Webhook, by: User) -> None:
    """Queues a call that says nothing but that it works; raises Conflict where the webhook is off."""
    if not hook.is_active:
        raise Conflict("Switch it on first: nothing is sent there while it is off.")
    events.queue(hook, events.TEST, {"webhook": hook.label, "sent_by": str(by)})
    audit.record(org=hook.org_id, actor=by, action="webhook.tested", target=hook)
    transaction.on_commit(bell.ring_outbox)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").lower()
        allowed = parts.scheme == "https" or (parts.scheme == "http" and host in _open_hosts())
    except ValueError:
        allowed, host = False, ""
    # SECURITY: where it leads is looked at anew with every call, by the door to the network.
    if not allowed or not host or parts.username or parts.password:
        raise InvalidRequest("The address must begin with https:// and hold no password.", field="url")
    return url.strip()


def _open_hosts() -> set[str]:
    return {host.lower() for host in settings.HALO_OUTGOING_HOSTS}
