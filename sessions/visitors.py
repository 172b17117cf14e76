"""The one door that turns a request into end user, company and session. Called inside accept's transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from halo.api import strict_json
from orgs.models import Organization
from sessions.identity import Identity
from sessions.models import ChatSession, Company, EndUser
from sessions.people import see_user

# A chain longer than this is a defect or an attack; the visitor simply gets a fresh session.
MAX_HOPS = 10


class NewSessionNeeded(Exception):
    """The request cannot continue the session it names, and the caller has not allowed for a new one yet."""


@dataclass(slots=True)
class Visit:
    """Who is there, and in which session."""

    session: ChatSession
    end_user: EndUser | None
    company: Company | None
    is_new: bool

    @property
    def is_unsaved(self) -> bool:
        """Whether the session is still to be written."""
        return self.session._state.adding


def enter(
    *,
    org: Organization,
    identity: Identity,
    session_id: str,
    company_id: str,
    may_start: bool,
    now: dt.datetime,
    store: bool = True,
) -> Visit:
    """The session to speak in, locked, with its people; raises NewSessionNeeded where one had to be started.

    Locks end user, then session: everyone who locks both does it in this order. Without `store` a new session that no
    other leads to is the caller's to write (`Visit.is_unsaved`).
    """
    end_user = see_user(org=org, identity=identity, now=now) if identity.user_id else None
    found = _lock(org, session_id=session_id) if session_id else None
    session, heir_of = _follow(found, org=org, identity=identity, end_user=end_user, now=now)
    is_new = session is None
    if session is None:
        if not may_start:
            raise NewSessionNeeded
        # A closed or expired session that its owner continues passes its user on, and leads a burst to one place.
        inherited = heir_of.end_user if heir_of is not None else None
        session = ChatSession(org=org, end_user=end_user or inherited)
    speaker = session.end_user if end_user is None else end_user
    company = _company(org, identity=identity, end_user=speaker, company_id=company_id)
    changed = []
    if end_user is not None and session.end_user_id is None:
        session.end_user = end_user
        changed.append("end_user")
    if identity.verified and not session.verified_only:
        session.verified_only = True
        changed.append("verified_only")
    if company is not None and session.company_id != company.pk:
        session.company = company
        changed.append("company")
    if is_new:
        if store or heir_of is not None:
            _start(session, heir_of)
    elif changed:
        session.save(update_fields=changed)
    return Visit(session=session, end_user=speaker, company=company, is_new=is_new)


def join(
    *,
    org: Organization,
    identity: Identity,
    end_user: EndUser | None,
    session_id: str,
    may_start: bool,
    now: dt.datetime,
) -> ChatSession:
    """The session to which something that is no message belongs, linked to the user whom the request names.

    Raises NewSessionNeeded as `enter` does. Who is named was locked by the caller, as everywhere before the session.
    """
    session, heir_of = _follow(
        _lock(org, session_id=session_id), org=org, identity=identity, end_user=end_user, now=now
    )
    if session is not None:
        if end_user is not None and session.end_user_id is None:
            session.end_user = end_user
            session.save(update_fields=["end_user"])
        return session
    if not may_start:
        raise NewSessionNeeded
    session = ChatSession(org=org, end_user=end_user or (heir_of.end_user if heir_of is not None else None))
    _start(session, heir_of)
    return session


def link(*, org: Organization, end_user: EndUser, session_id: str, now: dt.datetime) -> bool:
    """Makes an anonymous session of this id the user's, with its transcript and tickets, once; whether it did.

    Unknown, foreign, expired and somebody's are all False.
    """
    if not strict_json.is_storable(session_id):
        return False
    # One conditional statement, so that of two users who ask at once one gets it.
    orphan = ChatSession.objects.for_org(org).filter(session_id=session_id, end_user=None, verified_only=False)
    return bool(orphan.filter(expires_at__gt=now).update(end_user=end_user))


def claimed_company(identity: Identity) -> str:
    """The customer's own id of the company that the token claims for its user; empty where it claims none."""
    claimed = identity.claims.get("company_id")
    named = isinstance(claimed, (str, int)) and not isinstance(claimed, bool)
    return str(claimed).strip()[:255] if named else ""


def find_owned(*, org: Organization, session_id: str, identity: Identity, now: dt.datetime) -> ChatSession | None:
    """The session of this id, closed or not, if it has not expired and is this request's; makes and changes nothing.

    Unknown, foreign, expired and not owned are all None. Without a named user, a merely named user's session is its
    bearer's where the organisation does not verify.
    """
    if not strict_json.is_storable(session_id):
        return None
    session = (
        ChatSession.objects.for_org(org)
        .filter(session_id=session_id, expires_at__gt=now)
        .select_related("end_user")
        .first()
    )
    if session is None:
        return None
    owner = session.end_user
    if owner is not None and identity.user_id and owner.external_id != identity.user_id:
        return None
    return session if _owns(session, org, identity, owner if identity.user_id else None) else None


def _owns(session: ChatSession, org: Organization, identity: Identity, end_user: EndUser | None) -> bool:
    """Whether this request may continue the session."""
    # SECURITY: after a verified turn only verified requests of that user pass, whatever the setting is now.
    same = end_user is not None and session.end_user_id == end_user.pk
    if session.verified_only:
        return same and identity.verified
    if session.end_user_id is None:
        return True
    # Merely named: its user continues it, and without a user_id only where the organisation does not verify.
    return same or (end_user is None and not org.verify_identity)


def _follow(
    session: ChatSession | None,
    *,
    org: Organization,
    identity: Identity,
    end_user: EndUser | None,
    now: dt.datetime,
) -> tuple[ChatSession | None, ChatSession | None]:
    """The live session at the end of the chain, or None and the dead one whose successor is to be made."""
    for _ in range(MAX_HOPS):
        if session is None or not _owns(session, org, identity, end_user):
            return None, None
        if session.is_live(now=now):
            return session, None
        if session.successor_id is None:
            return None, session
        session = _lock(org, pk=session.successor_id)
    return None, None


def _start(session: ChatSession, heir_of: ChatSession | None) -> None:
    session.save(force_insert=True)
    if heir_of is not None:
        heir_of.successor = session
        heir_of.save(update_fields=["successor"])


def _lock(org: Organization, **which: Any) -> ChatSession | None:
    return (
        ChatSession.objects.for_org(org)
        .filter(**which)
        .select_related("end_user__company")
        .select_for_update(of=("self",))
        .first()
    )


def _company(org: Organization, *, identity: Identity, end_user: EndUser | None, company_id: str) -> Company | None:
    """The company whose data this turn may see."""
    claimed = claimed_company(identity)
    if identity.verified and end_user is not None and claimed:
        if end_user.company is None or end_user.company.external_id != claimed:
            company, _ = Company.objects.for_org(org).get_or_create(org=org, external_id=claimed)
            end_user.company = company
            end_user.save(update_fields=["company"])
        return end_user.company
    if org.verify_identity and not identity.verified:
        # SECURITY: with verification on, who has proved nothing sees nothing that is stored.
        return None
    if end_user is not None and end_user.company is not None:
        return end_user.company
    # SECURITY: with verification on, the body's company_id alone loads nothing.
    if not company_id or org.verify_identity:
        return None
    return Company.objects.for_org(org).filter(external_id=company_id).first()
