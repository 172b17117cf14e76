"""What is done to organisations and their keys: validated, in one transaction, with an audit row."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import slugify

from halo.errors import HaloError, InvalidRequest, NotFound
from orgs import audit
from orgs.models import Canary, IdentitySecret, Organization, User, WidgetKey
from orgs.secrets import new_identity_secret

MOST_SECRETS = 2
MOST_ORIGINS = 50
LONGEST_GRACE = dt.timedelta(days=90)
_ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?\Z")
_SLUG = re.compile(r"[A-Za-z0-9_-]+\Z")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Conflict(HaloError):
    """409: what is asked does not fit the state that things are in; the message says what to do first."""

    status = 409

    def __init__(self, message: str) -> None:
        super().__init__("conflict", message)


def find_org(id_or_slug: str) -> Organization:
    """The organisation that an operator names; raises NotFound."""
    try:
        wanted = Q(pk=uuid.UUID(id_or_slug))
    except ValueError:
        wanted = Q(slug=id_or_slug)
    org = Organization.objects.filter(wanted).first()
    if org is None:
        raise NotFound(f"There is no organisation with the id or slug “{id_or_slug}”.")
    return org


@transaction.atomic
def create_organization(
    *,
    name: str,
    slug: str | None = None,
    by: User | None = None,
    verify_identity: bool = False,
    model_backend: str = "",
) -> Organization:
    """A new organisation; without a `slug`, a free one is made from the name. Raises Conflict for a taken slug."""
    if slug and (len(slug) > 80 or not _SLUG.match(slug)):
        raise InvalidRequest("A slug is 1 to 80 letters, digits, hyphens and underscores.", field="slug")
    stem = slug or slugify(name)[:70] or "organisation"
    for number in range(1, 1000):
        candidate = stem if number == 1 else f"{stem}-{number}"
        org = Organization(name=name, slug=candidate, verify_identity=verify_identity, model_backend=model_backend)
        try:
            with transaction.atomic():
                org.save(force_insert=True)
        except IntegrityError:
            if slug:
                break
            continue
        audit.record(
            org=org,
            actor=by,
            action="organization.created",
            target=org,
            after=audit.state(org, ["name", "slug", "verify_identity", "model_backend"]),
        )
        return org
    raise Conflict(f"The slug “{stem}” is taken.")


def lock_org(org: Organization | uuid.UUID) -> Organization:
    """The organisation's row, locked: whoever counts or orders its keys, members or agents goes one at a time.

    The lock lets the chat path insert rows that refer to the organisation.
    """
    key = org.pk if isinstance(org, Organization) else org
    return Organization.objects.select_for_update(no_key=True).get(pk=key)


# --- Widget keys -----------------------------------------------------------------------------------------------------


def clean_origins(origins: Iterable[str]) -> list[str]:
    """Origins as browsers send them, in order, each once; raises InvalidRequest for what no browser would send."""
    cleaned: list[str] = []
    for given in origins:
        text = given.strip().lower().removesuffix("/") if isinstance(given, str) else ""
        if not text and isinstance(given, str):
            continue
        if not text.isascii():
            scheme, _, rest = text.partition("://")
            host, colon, port = rest.partition(":")
            try:
                text = f"{scheme}://{host.encode('idna').decode()}{colon}{port}"
            except UnicodeError:
                text = ""
        found = _ORIGIN.match(text)
        if not found or int(found["port"] or 0) > 65_535:
            raise InvalidRequest(
                f"“{given}” is not an origin. Write scheme://host or scheme://host:port, such as "
                "https://www.example.com, without a path or wildcards.",
                field="origins",
            )
        # Browsers leave the scheme's own port out of the Origin header, and the comparison is exact.
        if found["port"] and found["port"] == _DEFAULT_PORTS.get(found["scheme"]):
            text = text.removesuffix(f":{found['port']}")
        if text not in cleaned:
            cleaned.append(text)
    if len(cleaned) > MOST_ORIGINS:
        raise InvalidRequest(f"A key has at most {MOST_ORIGINS} origins.", field="origins")
    return cleaned


@transaction.atomic
def create_widget_key(*, org: Organization, label: str, origins: Iterable[str] = (), by: User | None) -> WidgetKey:
    """A key that works at once; no `origins`: it works from every site."""
    key = WidgetKey(org=org, label=label, origins=clean_origins(origins), created_by=by)
    key.save(force_insert=True)
    audit.record(
        org=org, actor=by, action="widget_key.created", target=key, after=audit.state(key, ["label", "origins"])
    )
    return key


@transaction.atomic
def change_widget_key(*, key: WidgetKey, label: str, origins: Iterable[str], by: User | None) -> WidgetKey:
    """Label and origins; the key itself never changes."""
    before = audit.state(WidgetKey.objects.for_org(key.org_id).get(pk=key.pk), ["label", "origins"])
    key.label, key.origins = label, clean_origins(origins)
    key.save(update_fields=["label", "origins"])
    was, now_is = audit.changes(before, audit.state(key, ["label", "origins"]))
    if now_is:
        audit.record(org=key.org_id, actor=by, action="widget_key.changed", target=key, before=was, after=now_is)
    return key


@transaction.atomic
def revoke_widget_key(*, key: WidgetKey, by: User | None, now: dt.datetime | None = None) -> WidgetKey:
    """The key stops working at once and for ever; revoking it again changes nothing."""
    key = WidgetKey.objects.for_org(key.org_id).select_for_update().get(pk=key.pk)
    if key.revoked_at is None:
        key.revoked_at = now or timezone.now()
        key.save(update_fields=["revoked_at"])
        audit.record(org=key.org_id, actor=by, action="widget_key.revoked", target=key)
    return key


@transaction.atomic
def rotate_widget_key(
    *, key: WidgetKey, grace: dt.timedelta, by: User | None, now: dt.datetime | None = None
) -> WidgetKey:
    """A new key with the same label and origins; the old one works for `grace` more (none: it stops at once)."""
    now = now or timezone.now()
    ends = _end_of_grace(grace, now=now)
    old = WidgetKey.objects.for_org(key.org_id).select_for_update().get(pk=key.pk)
    if not old.is_active(now=now):
        raise Conflict("This key does not work any more. Create a new one instead.")
    if old.expires_at is not None:
        raise Conflict("This key has been rotated already. Rotate the key that took its place.")
    new = WidgetKey(org_id=old.org_id, label=old.label, origins=old.origins, created_by=by)
    new.save(force_insert=True)
    old.expires_at = ends
    old.save(update_fields=["expires_at"])
    audit.record(
        org=old.org_id,
        actor=by,
        action="widget_key.rotated",
        target=old,
        after={"replaced_by": str(new.pk), "works_until": ends.isoformat()},
    )
    return new


def _end_of_grace(grace: dt.timedelta, *, now: dt.datetime) -> dt.datetime:
    if not dt.timedelta(0) <= grace <= LONGEST_GRACE:
        raise InvalidRequest(f"The grace time is between nothing and {LONGEST_GRACE.days} days.", field="grace")
    return now + grace


# --- Identity secrets ------------------------------------------------------------------------------------------------


@transaction.atomic
def create_identity_secret(
    *, org: Organization, label: str = "", by: User | None, now: dt.datetime | None = None
) -> tuple[IdentitySecret, str]:
    """A secret and its plain text, which is shown once. Raises Conflict where two are active already."""
    lock_org(org)
    if IdentitySecret.objects.for_org(org).active(now=now or timezone.now()).count() >= MOST_SECRETS:
        raise Conflict(
            f"An organisation has at most {MOST_SECRETS} active identity secrets. Revoke one before creating another."
        )
    made, plain = _new_secret(org=org, label=label, by=by)
    audit.record(
        org=org, actor=by, action="identity_secret.created", target=made, after=audit.state(made, ["label", "hint"])
    )
    return made, plain


@transaction.atomic
def rotate_identity_secret(
    *, org: Organization, grace: dt.timedelta, by: User | None, now: dt.datetime | None = None
) -> tuple[IdentitySecret, str]:
    """A new secret takes over from the only active one, whose tokens are accepted for `grace` more.

    Raises Conflict where none is active (create one) or two are (revoke one).
    """
    now = now or timezone.now()
    ends = _end_of_grace(grace, now=now)
    lock_org(org)
    active = list(IdentitySecret.objects.for_org(org).active(now=now))
    if not active:
        raise Conflict("There is no active identity secret to rotate. Create one instead.")
    if len(active) >= MOST_SECRETS:
        raise Conflict("Two identity secrets are active: revoke the one that is no longer in use, then rotate.")
    old = active[0]
    made, plain = _new_secret(org=org, label=old.label, by=by)
    old.expires_at = ends
    old.save(update_fields=["expires_at"])
    audit.record(
        org=org,
        actor=by,
        action="identity_secret.rotated",
        target=old,
        after={"replaced_by": made.hint, "works_until": ends.isoformat()},
    )
    return made, plain


@transaction.atomic
def revoke_identity_secret(
    *, secret: IdentitySecret, by: User | None, now: dt.datetime | None = None
) -> IdentitySecret:
    """Tokens signed with it are refused from now on; revoking it again changes nothing."""
    secret = IdentitySecret.objects.for_org(secret.org_id).select_for_update().get(pk=secret.pk)
    if secret.revoked_at is None:
        secret.revoked_at = now or timezone.now()
        secret.save(update_fields=["revoked_at"])
        audit.record(org=secret.org_id, actor=by, action="identity_secret.revoked", target=secret)
    return secret


def _new_secret(*, org: Organization, label: str, by: User | None) -> tuple[IdentitySecret, str]:
    plain = new_identity_secret()
    made = IdentitySecret(org=org, label=label, secret=plain, hint=plain[-4:], created_by=by)
    made.save(force_insert=True)
    return made, plain


# --- Settings, and the model's address -------------------------------------------------------------------------------


@transaction.atomic
def save_settings(*, org: Organization, names: Iterable[str], by: User | None) -> Organization:
    """Writes the named columns of `org`. The model's address and key go through `set_model_endpoint`."""
    names = [name for name in names if name not in {"model_base_url", "model_api_key", "model_url_trusted"}]
    if not names:
        return org
    before = audit.state(lock_org(org), names)
    org.save(update_fields=names)
    was, now_is = audit.changes(before, audit.state(org, names))
    if now_is:
        audit.record(org=org, actor=by, action="organization.changed", target=org, before=was, after=now_is)
    return org


@transaction.atomic
def set_model_endpoint(
    *, org: Organization, base_url: str, api_key: str | None = None, by: User | None
) -> Organization:
    """Where the organisation's model answers. `api_key` None keeps the stored key, empty removes it."""
    stored = lock_org(org)
    org.model_base_url, org.model_api_key, org.model_url_trusted = next_endpoint(
        was=(stored.model_base_url, stored.model_api_key, stored.model_url_trusted),
        base_url=base_url,
        api_key=api_key,
        by=by,
    )
    names = ["model_base_url", "model_api_key", "model_url_trusted"]
    new_key = bool(api_key) and api_key != stored.model_api_key
    org.save(update_fields=names)
    was, now_is = audit.changes(audit.state(stored, names), audit.state(org, names))
    if now_is or new_key:
        audit.record(
            org=org,
            actor=by,
            action="organization.model_endpoint",
            target=org,
            before=was,
            after=now_is | ({"model_api_key": "replaced"} if new_key else {}),
        )
    return org


def next_endpoint(
    *, was: tuple[str, str, bool], base_url: str, api_key: str | None, by: User | None
) -> tuple[str, str, bool]:
    """(address, key, trusted) after a change of the stored three; raises InvalidRequest for an unusable address."""
    old_url, old_key, trusted = was
    base_url = base_url.strip()
    if base_url == old_url:
        return old_url, old_key if api_key is None else api_key, trusted
    by_operator = by is None or by.is_superuser
    if base_url:
        _check_model_url(base_url, by_operator=by_operator)
    # SECURITY: a key is only ever sent to the address it was entered for.
    return base_url, api_key or "", bool(base_url) and by_operator


def _check_model_url(url: str, *, by_operator: bool) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment:
        raise InvalidRequest(
            "The model's address is a URL such as https://api.example.com/v1, without a password, query or fragment.",
            field="base_url",
        )
    # SECURITY: whether a host is public is decided by its resolved addresses, when it is called; only operators and
    # hosts that they listed may go without TLS.
    if parts.scheme != "https" and not by_operator and host not in settings.HALO_MODEL_HOSTS:
        raise InvalidRequest("The model's address must begin with https://.", field="base_url")


# --- The key ring ----------------------------------------------------------------------------------------------------


def check_keys() -> None:
    """Opens the canary, made at the first start; raises orgs.secrets.WrongKey where the ring is another one."""
    Canary.objects.get_or_create(id=1)
