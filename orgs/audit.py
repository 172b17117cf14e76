"""The append-only record of what staff did; this module is its only writer."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from axes.helpers import get_client_ip_address
from django.db import models
from django.http import HttpRequest

from orgs.models import AuditEntry, Organization, User
from orgs.secrets import EncryptedTextField

_ADDRESS = "_came_from"


def record(
    *,
    org: Organization | uuid.UUID | None,
    actor: User | None,
    action: str,
    target: models.Model | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    address: str | None = None,
) -> AuditEntry:
    """Appends one row. `actor` None: the command line or Halo itself; `action` reads `noun.verb`.

    `before` and `after` are plain JSON, made with `state` where they are columns: it leaves secrets out.
    Without an `address`, the one is taken that `came_from` noted on the actor. Of a target that says
    `audit_by_id`, the row keeps neither name nor values, only which of them there are.
    """
    # SECURITY: the audit outlives people who are erased, and cannot be changed.
    by_id = bool(getattr(target, "audit_by_id", False))
    if by_id:
        before, after = _without_values(before), _without_values(after)
    return AuditEntry.objects.create(
        org_id=org.pk if isinstance(org, Organization) else org,
        actor=actor,
        actor_label=actor.email if actor else "",
        action=action,
        target_type=target._meta.label_lower if target else "",
        target_id=str(target.pk) if target else "",
        target_label="" if by_id or not target else _printable(getattr(target, "audit_label", str(target)))[:200],
        before=before,
        after=after,
        address=address or getattr(actor, _ADDRESS, None),
    )


def record_failed_login(*, login: str, address: str | None) -> AuditEntry:
    """Appends a row outside every organisation: nobody is logged in, and the login may belong to no one."""
    return AuditEntry.objects.create(actor_label=_printable(login)[:254], action="login.failed", address=address)


def came_from(user: User, request: HttpRequest) -> None:
    """Notes the request's address on its user, so that every row written for this request says from where."""
    setattr(user, _ADDRESS, address_of(request))


def address_of(request: HttpRequest) -> str | None:
    """The client's address, believing forwarded headers only behind the configured number of proxies."""
    return get_client_ip_address(request)


def state(row: models.Model, names: Iterable[str]) -> dict[str, Any]:
    """The named columns of `row` as JSON for `before` and `after`."""
    found: dict[str, Any] = {}
    for name in names:
        field = row._meta.get_field(name)
        if not isinstance(field, models.Field):
            continue
        value = field.value_from_object(row)
        # SECURITY: of a secret, the audit says only whether there is one.
        if isinstance(field, EncryptedTextField):
            found[name] = "set" if value else ""
        elif isinstance(field, models.ManyToManyField):
            found[name] = sorted(str(item) for item in value)
        elif value is None or isinstance(value, (bool, int, float, str, list, dict)):
            found[name] = value
        else:
            found[name] = str(value)
    return found


def query_of(request: HttpRequest) -> str:
    """What a page was asked for, without the words of a search: those may be somebody's name."""
    asked = request.GET.copy()
    if asked.get("q"):
        asked["q"] = "…"
    return asked.urlencode()[:500]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both states cut down to the keys in which they differ."""
    differing = [key for key in after if before.get(key) != after[key]]
    return {key: before.get(key) for key in differing}, {key: after[key] for key in differing}


def _without_values(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if values is None else {name: "set" if value else "" for name, value in values.items()}


def _printable(text: str) -> str:
    # PostgreSQL stores neither NUL nor lone surrogates, and a failed login must not fail a second time.
    return text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
