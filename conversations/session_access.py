"""A visitor's session, as whoever owns it may read it."""

from __future__ import annotations

import datetime as dt

from conversations.idempotency import hashed
from conversations.models import Conversation
from halo.db import release_connection
from halo.errors import NotFound
from orgs import throttling
from orgs.models import Organization
from sessions.identity import MAX_TOKEN_HEADER, identify_bearer
from sessions.models import ChatSession
from sessions.visitors import find_owned


def find_session(*, org: Organization, key_id: int, session_id: str, user_token: str, now: dt.datetime) -> ChatSession:
    """The session that this request owns, closed or not; else NotFound, whatever the reason.

    Checks in the order 403, 404, 429.
    """
    identity = identify_bearer(org=org, token=user_token, now=now, limit=MAX_TOKEN_HEADER)
    session = find_owned(org=org, session_id=session_id, identity=identity, now=now)
    release_connection()
    if session is None:
        raise NotFound
    throttling.take(
        [
            # Apart from messages, so that reading never keeps anybody from writing.
            throttling.bucket("key", f"read:{key_id}", override=org.key_rate_limit),
            throttling.bucket("session", hashed(f"read:{org.pk}:{session.pk}")),
        ]
    )
    return session


def conversation_of(session: ChatSession) -> Conversation | None:
    """What was said in the session; None where nothing was."""
    found: Conversation | None = (
        Conversation.objects.for_org(session.org_id)
        .filter(session=session)
        .select_related("taken_over_by", "session", "agent")
        .first()
    )
    return found
