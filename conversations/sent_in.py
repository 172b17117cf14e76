"""Tickets that sites and servers send in: no conversation, no agent; whoever asks is found or made."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from conversations import idempotency, tickets
from conversations.models import Ticket
from halo.api.dates import written
from halo.db import release_connection
from halo.errors import Unavailable
from halo.ids import uuid7
from orgs import throttling
from orgs.models import Organization
from sessions.identity import Identity, identify, identify_bearer
from sessions.models import EndUser
from sessions.people import see_user


@dataclass(frozen=True, slots=True)
class TicketRequest:
    """A valid body of `POST /tickets/create`; absent text is `""`."""

    subject: str
    message: str = ""
    user_id: str = ""
    user_token: str = ""
    email: str = ""
    name: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    source: str = "api"
    priority: str = Ticket.Priority.NORMAL.value
    body_hash: str = ""


class _TwinWasFirst(Exception):
    """Another request with the same key committed while this one was on its way in."""


def send_in(
    *, org: Organization, key_id: int, request: TicketRequest, idempotency_key: str, address: str, now: dt.datetime
) -> dict[str, Any]:
    """Stores a ticket, or finds the one that the key stands for, and returns it as this request has set it.

    Checks in the order 403, 409, 429.
    """
    identity = _identity(org, request, now=now)
    known = _find(org, identity, request, idempotency_key)
    release_connection()
    who = f"user:{identity.user_id}" if identity.user_id else f"address:{address}"
    throttling.take(
        [
            throttling.bucket("key", f"tickets:{key_id}", override=org.key_rate_limit),
            # Replays count against the key's limit only.
            None if known else throttling.bucket("visitor", idempotency.hashed(f"tickets:{org.pk}:{who}")),
        ]
    )
    if known is None:
        try:
            known = _store(org, identity, request, idempotency_key, now=now)
        except _TwinWasFirst:
            known = _find(org, identity, request, idempotency_key)
            # The twin's key ran out in this very instant: the client's retry begins anew.
            if known is None:
                raise Unavailable from None
    release_connection()
    return _shown(known, request)


def _identity(org: Organization, request: TicketRequest, *, now: dt.datetime) -> Identity:
    """Who asks: the named user, else the one whose token vouches for the e-mail address, else somebody unknown."""
    if request.user_id:
        found = identify(org=org, user_id=request.user_id, token=request.user_token, now=now)
        if found.user_id or request.email:
            return found
    found = identify_bearer(org=org, token=request.user_token, now=now)
    # SECURITY: an address that nobody vouches for is anybody's, so it never leads to somebody who is stored.
    claimed = found.claims.get("email")
    vouched = found.verified and isinstance(claimed, str) and claimed.casefold() == request.email.casefold()
    return found if vouched else Identity()


def _find(org: Organization, identity: Identity, request: TicketRequest, key: str) -> Ticket | None:
    if not key:
        return None
    return idempotency.find_ticket(org=org, scope=identity.scope, key=key, body_hash=request.body_hash)


@transaction.atomic
def _store(org: Organization, identity: Identity, request: TicketRequest, key: str, *, now: dt.datetime) -> Ticket:
    ticket_id = uuid7()
    if key and not idempotency.reserve(
        org=org, scope=identity.scope, key=key, body_hash=request.body_hash, ticket_id=ticket_id
    ):
        raise _TwinWasFirst
    return tickets.open_ticket(
        ticket_id=ticket_id,
        org=org,
        requester=_requester(org, identity, request, now=now),
        subject=request.subject,
        message=request.message or request.subject,
        source=request.source,
        priority=request.priority,
        metadata=request.metadata,
    )


def _requester(org: Organization, identity: Identity, request: TicketRequest, *, now: dt.datetime) -> EndUser:
    if not identity.user_id:
        return EndUser.objects.create(org=org, email=request.email, name=request.name, first_seen=now, last_seen=now)
    user = see_user(org=org, identity=identity, now=now)
    # What is known of somebody is not replaced by what a form says, but may be completed.
    filled = [name for name in ("email", "name") if getattr(request, name) and not getattr(user, name)]
    for name in filled:
        setattr(user, name, getattr(request, name))
    if filled:
        user.save(update_fields=[*filled, "updated_at"])
    return user


def _shown(ticket: Ticket, request: TicketRequest) -> dict[str, Any]:
    # SECURITY: the key is public and reads nothing, so a replay tells what this request says and not what staff made of
    # it since.
    return {
        "id": str(ticket.pk),
        "number": ticket.number,
        "status": Ticket.Status.OPEN.value,
        "subject": request.subject,
        "message": request.message or request.subject,
        "priority": request.priority,
        "source": request.source,
        "metadata": request.metadata,
        "requester_id": str(ticket.requester_id),
        "user_id": request.user_id or None,
        "email": request.email or None,
        "name": request.name or None,
        "created_at": written(ticket.created_at),
    }
