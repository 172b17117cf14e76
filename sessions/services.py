"""What sites and servers tell of people, companies and events: each request checked, limited, and stored at once."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from halo.db import release_connection
from orgs import throttling
from orgs.models import Organization
from sessions import events, people, visitors
from sessions.events import Happening
from sessions.identity import Identity, check_update_token, identify
from sessions.people import Backfill, Row
from sessions.showing import company_shown, user_shown
from sessions.traits import Said
from sessions.visitors import NewSessionNeeded


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends the request: the organisation by its key, and from where."""

    org: Organization
    key_id: int
    address: str
    now: dt.datetime


def identify_user(*, caller: Caller, user_id: str, user_token: str, session_id: str, said: Said) -> dict[str, Any]:
    """The named user after what is said was merged in; an anonymous session of theirs becomes the user's.

    Checks in the order 403, 429, 400. The answer holds what was stored before only where the request is verified.
    """
    identity = _identity(caller, user_id, user_token)
    _limit(caller, identity, "people")
    with transaction.atomic():
        user = people.see_user(org=caller.org, identity=identity, now=caller.now, said=said)
        company = visitors.claimed_company(identity)
        if identity.verified and company:
            found = people.find_company(org=caller.org, external_id=company, now=caller.now)
            people.link_company(user, found)
        if session_id:
            visitors.link(org=caller.org, end_user=user, session_id=session_id, now=caller.now)
    release_connection()
    return user_shown(user, said, whole=identity.verified)


def update_users(*, caller: Caller, user_token: str, update_only: bool, rows: Sequence[Row]) -> Backfill:
    """Stores users as the customer's server has them; raises IdentityFailed unless its token allows that."""
    check_update_token(org=caller.org, token=user_token, now=caller.now)
    release_connection()
    throttling.take([_for_key(caller, "people")])
    done = people.write_users(org=caller.org, rows=rows, update_only=update_only, now=caller.now)
    release_connection()
    return done


def identify_company(*, caller: Caller, company_id: str, user_id: str, user_token: str, said: Said) -> dict[str, Any]:
    """The named company after what is said was merged in, and the user linked to it, as far as the request may.

    With verification on that takes a stored link, or the token's claim; who may not gets the ids alone.
    """
    identity = _identity(caller, user_id, user_token) if user_id else Identity()
    _limit(caller, identity, "people")
    with transaction.atomic():
        user = None
        if identity.user_id:
            user = people.see_user(org=caller.org, identity=identity, now=caller.now)
        company = people.find_company(org=caller.org, external_id=company_id, now=caller.now)
        linked = user is not None and user.company_id == company.pk
        proved = identity.verified and (linked or visitors.claimed_company(identity) == company_id)
        # SECURITY: with verification on the body's company_id alone neither changes nor links anything, so nobody puts
        # words about a company before the agent that speaks with that company's people.
        may = proved or not caller.org.verify_identity
        if may:
            people.change_company(company, said)
            if user is not None:
                people.link_company(user, company)
    release_connection()
    return company_shown(company, said if may else Said(), whole=proved)


def record_events(
    *, caller: Caller, happened: Sequence[Happening], user_id: str, user_token: str, session_id: str
) -> str:
    """Stores what a visitor did; returns the session it was stored under, which may be a fresh one, or `""`.

    A session that cannot be continued is answered with a fresh one, as for a message; where none is named there is
    none. Checks in the order 403, 429.
    """
    identity = _identity(caller, user_id, user_token) if user_id else Identity()
    _limit(caller, identity, "events")
    try:
        return _record(caller, happened, identity, session_id, may_start=False)
    except NewSessionNeeded:
        throttling.take([throttling.bucket("new", f"{caller.org.pk}:{caller.address}")])
        return _record(caller, happened, identity, session_id, may_start=True)
    finally:
        release_connection()


@transaction.atomic
def _record(
    caller: Caller, happened: Sequence[Happening], identity: Identity, session_id: str, *, may_start: bool
) -> str:
    org, now = caller.org, caller.now
    user = people.see_user(org=org, identity=identity, now=now) if identity.user_id else None
    session = None
    if session_id:
        session = visitors.join(
            org=org, identity=identity, end_user=user, session_id=session_id, may_start=may_start, now=now
        )
    events.store(org=org, happened=happened, session=session, end_user=user, now=now)
    return session.session_id if session is not None else ""


def _identity(caller: Caller, user_id: str, user_token: str) -> Identity:
    identity = identify(org=caller.org, user_id=user_id, token=user_token, now=caller.now)
    release_connection()
    return identity


def _limit(caller: Caller, identity: Identity, kind: str) -> None:
    """Apart from messages, so that what a page tells of its visitors never keeps them from writing."""
    visitor = f"user:{identity.user_id}" if identity.user_id else f"address:{caller.address}"
    subject = hashlib.sha256(f"{kind}:{caller.org.pk}:{visitor}".encode("utf-8", "surrogatepass")).hexdigest()
    throttling.take([_for_key(caller, kind), throttling.bucket("visitor", subject)])


def _for_key(caller: Caller, kind: str) -> throttling.Bucket | None:
    return throttling.bucket("key", f"{kind}:{caller.key_id}", override=caller.org.key_rate_limit)
