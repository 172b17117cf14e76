"""What a widget is told of an organisation and its active agent before anybody speaks; no key is needed for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from agents import catalog
from agents.appearance import appearance_of
from agents.models import Agent
from halo.api.addresses import client_address
from halo.db import release_connection
from halo.errors import InvalidRequest, NotFound
from halo.ids import parse_uuid
from orgs import throttling, traffic
from orgs.models import Organization


@dataclass(frozen=True, slots=True)
class Introduction:
    """The body, and a tag that is the same for as long as the body is."""

    body: dict[str, Any]
    etag: str


def introduce(*, org_id: str, request: HttpRequest) -> Introduction:
    """The organisation of this id and its active agent; raises InvalidRequest, NotFound or RateLimited."""
    known = parse_uuid(org_id)
    if known is None:
        raise InvalidRequest("org_id must be the organisation's id, a UUID", field="org_id")
    # The organisation is what is looked for here: its id is no secret, and nothing but this is told of it.
    org = Organization.objects.filter(pk=known).first()
    if org is None:
        raise NotFound
    card = catalog.choose(org, "")
    release_connection()
    throttling.take([throttling.bucket("key", f"config:{client_address(request)}")])
    traffic.saw_loaded(org.pk, request)
    body = {
        "agent": {"id": str(card.id), "status": Agent.Status.ACTIVE.value, **appearance_of(card.config)},
        # SECURITY: named one by one; most of an organisation's settings are nobody else's business.
        "organization": {"name": org.name, "settings": {"verify_identity": org.verify_identity}},
    }
    return Introduction(body, hashlib.sha256(json.dumps(body).encode()).hexdigest()[:32])
