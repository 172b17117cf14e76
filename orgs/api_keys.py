"""Keys that an organisation's own tools read its records with: made, found by their hash, revoked."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from halo.errors import InvalidRequest
from orgs import audit
from orgs.models import ApiKey, Organization, User
from orgs.secrets import new_api_key
from orgs.services import Conflict, lock_org

MOST_KEYS = 50
# How exactly it is known when a key was used last, and how often that is in the audit.
USED_EVERY = dt.timedelta(minutes=1)
AUDITED_EVERY = dt.timedelta(hours=1)


@transaction.atomic
def create_api_key(
    *, org: Organization, label: str, scopes: Iterable[str], by: User | None, now: dt.datetime | None = None
) -> tuple[ApiKey, str]:
    """A key and its plain text, which is shown once. Raises InvalidRequest without a scope, Conflict past the most."""
    wanted = [scope.value for scope in ApiKey.Scope if scope.value in set(scopes)]
    if not wanted:
        raise InvalidRequest("Choose what the key may read.", field="scopes")
    lock_org(org)
    if ApiKey.objects.for_org(org).active(now=now or timezone.now()).count() >= MOST_KEYS:
        raise Conflict(f"An organisation has at most {MOST_KEYS} active API keys. Revoke one that is not in use.")
    plain = new_api_key()
    made = ApiKey(org=org, label=label, value_hash=hash_of(plain), hint=plain[-4:], scopes=wanted, created_by=by)
    made.save(force_insert=True)
    audit.record(
        org=org, actor=by, action="api_key.created", target=made, after=audit.state(made, ["label", "hint", "scopes"])
    )
    return made, plain


@transaction.atomic
def rename_api_key(*, key: ApiKey, label: str, by: User | None) -> ApiKey:
    """Another label; what a key may read never changes."""
    before = audit.state(ApiKey.objects.for_org(key.org_id).get(pk=key.pk), ["label"])
    key.label = label
    key.save(update_fields=["label"])
    was, now_is = audit.changes(before, audit.state(key, ["label"]))
    if now_is:
        audit.record(org=key.org_id, actor=by, action="api_key.changed", target=key, before=was, after=now_is)
    return key


@transaction.atomic
def revoke_api_key(*, key: ApiKey, by: User | None, now: dt.datetime | None = None) -> ApiKey:
    """The key stops working at once and for ever; revoking it again changes nothing."""
    key = ApiKey.objects.for_org(key.org_id).select_for_update().get(pk=key.pk)
    if key.revoked_at is None:
        key.revoked_at = now or timezone.now()
        key.save(update_fields=["revoked_at"])
        audit.record(org=key.org_id, actor=by, action="api_key.revoked", target=key)
    return key


def find_api_key(plain: str, *, now: dt.datetime) -> ApiKey | None:
    """The key of this text with its organisation, if it opens anything."""
    # The organisation is what is looked for here, so no organisation can be given to the look-up.
    # SECURITY: by the hash, so that neither the database nor the time it takes says anything about other keys.
    found: ApiKey | None = ApiKey.objects.filter(value_hash=hash_of(plain)).select_related("org").first()
    return found if found is not None and found.is_active(now=now) else None


def note_use(key: ApiKey, *, now: dt.datetime, address: str | None) -> None:
    """Keeps when the key was used, to the minute, and writes into the audit once an hour that it reads."""
    before = key.last_used_at
    if before is not None and now - before < USED_EVERY:
        return
    stale = ApiKey.objects.for_org(key.org_id).filter(Q(last_used_at=None) | Q(last_used_at=before), pk=key.pk)
    # Of requests that come together one writes.
    if stale.update(last_used_at=now) and (before is None or _hour(before) != _hour(now)):
        audit.record(org=key.org_id, actor=None, action="api_key.used", target=key, address=address)


def hash_of(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()


def _hour(at: dt.datetime) -> int:
    return int(at.timestamp() // AUDITED_EVERY.total_seconds())
