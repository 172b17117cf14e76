"""What visitors do on the site: stored a batch at a time, and the latest of it read again."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from orgs.models import Organization
from sessions.models import ChatSession, EndUser

LATEST = 100
RECENT = dt.timedelta(minutes=30)

# One statement whatever the number; the ORM took longer to put a hundred rows together than the database to store them.
_STORE = """
INSERT INTO chat_sessions_event
       (org_id, session_id, end_user_id, event_type, element_selector, page_url, metadata, created_at)
SELECT %(org)s, %(session)s, %(end_user)s, e.event_type, e.selector, e.url, e.metadata, %(now)s
  FROM ROWS FROM (jsonb_to_recordset(%(happened)s::jsonb) AS (t text, s text, u text, m jsonb))
       WITH ORDINALITY AS e(event_type, selector, url, metadata, number)
 ORDER BY e.number
"""

# Of a session and of its user, each by its own index; what is both is one row.
_LATEST = """
SELECT id, event_type, element_selector, page_url, metadata::text, created_at
  FROM ((SELECT * FROM chat_sessions_event
          WHERE session_id = %(session)s AND (org_id = %(org)s) IS TRUE AND created_at > %(since)s
          ORDER BY id DESC LIMIT %(most)s)
        UNION ALL
        (SELECT * FROM chat_sessions_event
          WHERE end_user_id = %(end_user)s AND (org_id = %(org)s) IS TRUE AND created_at > %(since)s
            AND session_id IS DISTINCT FROM %(session)s
          ORDER BY id DESC LIMIT %(most)s)) AS e
 ORDER BY id DESC LIMIT %(most)s
"""

# For a turn's own statement: whether `latest` would find anything, which for most visitors it would not.
ANY_RECENT = """
EXISTS (SELECT FROM chat_sessions_event
         WHERE session_id = {session} AND (org_id = {org}) IS TRUE AND created_at > {since})
OR EXISTS (SELECT FROM chat_sessions_event
            WHERE end_user_id = {end_user} AND (org_id = {org}) IS TRUE AND created_at > {since})
"""


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that a visitor did; `at` is when it was stored, which is when it was told."""

    event_type: str
    element_selector: str = ""
    page_url: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    at: dt.datetime | None = None


def store(
    *,
    org: Organization,
    happened: Sequence[Happening],
    session: ChatSession | None,
    end_user: EndUser | None,
    now: dt.datetime,
) -> None:
    """Stores `happened` in its order, in one statement."""
    rows = [{"t": one.event_type, "s": one.element_selector, "u": one.page_url, "m": one.metadata} for one in happened]
    values: dict[str, Any] = {
        "org": org.pk,
        "session": session.pk if session is not None else None,
        "end_user": end_user.pk if end_user is not None else None,
        "happened": json.dumps(rows, ensure_ascii=False),
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(_STORE, values)


def latest(
    *, org_id: uuid.UUID, session_id: uuid.UUID, end_user_id: uuid.UUID | None, now: dt.datetime
) -> list[Happening]:
    """What the session's visitor did in the last half hour, oldest first, in one query.

    SECURITY: of this session and this user alone; whether the user may be looked up is the caller's to know.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _LATEST,
            {"org": org_id, "session": session_id, "end_user": end_user_id, "since": now - RECENT, "most": LATEST},
        )
        rows = cursor.fetchall()
    return [
        Happening(kind, selector, url, json.loads(metadata), at)
        for _, kind, selector, url, metadata, at in reversed(rows)
    ]
