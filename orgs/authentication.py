"""Who is asking: the widget key in `Authorization` names the organisation, and nothing else does."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from halo import db
from halo.db import release_connection
from halo.errors import InvalidKey
from orgs import traffic
from orgs.caching import organization_of
from orgs.models import Organization, WidgetKey
from orgs.traffic import Seen

_BEARER = re.compile(r"bearer +([\x21-\x7e]{1,100}) *\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Access:
    """What a valid widget key opens."""

    org: Organization
    key_id: int


# The organisation is what is looked for here, so no organisation can be given to the look-up.
_FIND = """
SELECT k.id, k.revoked_at, k.expires_at, k.origins::text, o.id, o.config_version
  FROM orgs_widgetkey AS k JOIN orgs_organization AS o ON o.id = k.org_id WHERE k.value = %(value)s
"""


class WidgetKeyAuthentication(BaseAuthentication):
    """Puts an Access into `request.auth`; every failure is the same 401."""

    def authenticate(self, request: Request) -> tuple[None, Access]:
        return None, access_of(request._request)


def access_of(request: HttpRequest) -> Access:
    """The access of the request's widget key; one indexed select reads the key and its organisation's version."""
    found = _BEARER.match(request.META.get("HTTP_AUTHORIZATION", ""))
    if found is None:
        raise InvalidKey
    key = _find(found.group(1))
    if key is None:
        raise InvalidKey
    if not key.is_active(now=timezone.now()):
        traffic.saw_request(key.org_id, request, key_id=key.pk, seen=Seen.ENDED_KEY)
        raise InvalidKey
    # SECURITY: browsers set `Origin` themselves; a request without one does not come from a page.
    origin = request.META.get("HTTP_ORIGIN")
    if key.origins and origin is not None and origin.lower() not in key.origins:
        traffic.saw_request(key.org_id, request, key_id=key.pk, seen=Seen.REFUSED_ORIGIN)
        raise InvalidKey
    traffic.saw_request(key.org_id, request, key_id=key.pk, seen=Seen.ALLOWED, listed=bool(key.origins and origin))
    # The body may take its client seconds to send, and a connection is for those who use it.
    release_connection()
    return Access(org=key.org, key_id=key.pk)


def _find(value: str) -> WidgetKey | None:
    """The key of this value with its organisation, and of its columns those that tell whether it opens anything."""
    rows = db.run(_FIND, {"value": value})
    if not rows:
        return None
    key_id, revoked_at, expires_at, origins, org_id, version = rows[0]
    return WidgetKey(
        id=key_id,
        org=organization_of(org_id, version=version),
        value=value,
        revoked_at=revoked_at,
        expires_at=expires_at,
        origins=json.loads(origins),
    )
