"""Who reads an organisation's records: the API key in `Authorization` says it, and what it may read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from halo.db import release_connection
from halo.errors import HaloError
from orgs import audit, throttling
from orgs.api_keys import find_api_key, note_use
from orgs.models import ApiKey, Organization

_BEARER = re.compile(r"bearer +(halo_read_[\x21-\x7e]{1,100}) *\Z", re.IGNORECASE)


class InvalidApiKey(HaloError):
    """401: the API key is missing, unknown, revoked or no API key; one text for all."""

    status = 401

    def __init__(self) -> None:
        super().__init__("invalid_key", "The API key is missing or not valid.")


class OutOfScope(HaloError):
    """403: the key is good, and may not read this."""

    status = 403

    def __init__(self, scope: ApiKey.Scope) -> None:
        super().__init__("forbidden", f"This API key may not read {scope.value}.")


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """What a valid API key opens."""

    org: Organization
    key_id: int
    scopes: frozenset[str]

    def enter(self, scope: ApiKey.Scope) -> Organization:
        """The organisation whose records of this kind may be read; raises OutOfScope or RateLimited."""
        if scope.value not in self.scopes:
            raise OutOfScope(scope)
        throttling.take([throttling.bucket("key", f"api:{self.key_id}")])
        return self.org


class ApiKeyAuthentication(BaseAuthentication):
    """Puts an ApiAccess into `request.auth`; every failure is the same 401."""

    def authenticate(self, request: Request) -> tuple[None, ApiAccess]:
        return None, _access_of(request._request)


def _access_of(request: HttpRequest) -> ApiAccess:
    found = _BEARER.match(request.META.get("HTTP_AUTHORIZATION", ""))
    now = timezone.now()
    key = find_api_key(found.group(1), now=now) if found is not None else None
    if key is None:
        raise InvalidApiKey
    note_use(key, now=now, address=audit.address_of(request))
    release_connection()
    return ApiAccess(org=key.org, key_id=key.pk, scopes=frozenset(key.scopes))
