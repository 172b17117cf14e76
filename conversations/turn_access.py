"""Reading a turn as the visitor whose session it is in."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from conversations import waiting
from conversations.models import Turn
from halo.db import release_connection
from halo.errors import HaloError, NotFound
from halo.ids import parse_uuid
from orgs import throttling
from orgs.models import Organization
from sessions.identity import MAX_TOKEN_HEADER, identify_bearer
from sessions.visitors import find_owned


@dataclass(frozen=True, slots=True)
class Owned:
    """A turn whose reader may read it."""

    turn_id: uuid.UUID
    session_id: str
    agent_id: uuid.UUID
    status: str
    # What was sent of its text cannot be taken back: whoever streams it as text may read along.
    keeps_text: bool
    # The turn whose answer is this one's too.
    merged_into: uuid.UUID | None


def find_turn(
    *, org: Organization, key_id: int, turn_id: str, session_id: str, user_token: str, now: dt.datetime
) -> Owned:
    """The turn, if the session that this request owns is the turn's; else NotFound, whatever the reason.

    Checks in the order 403, 404, 429.
    """
    identity = identify_bearer(org=org, token=user_token, now=now, limit=MAX_TOKEN_HEADER)
    session = find_owned(org=org, session_id=session_id, identity=identity, now=now) if session_id else None
    known = parse_uuid(turn_id)
    # SECURITY: the session is a condition of the look-up, so nobody else's turn is ever read.
    owned = _read(org, known, conversation__session=session) if session is not None and known else None
    release_connection()
    if owned is None:
        raise NotFound
    throttling.take([throttling.bucket("key", str(key_id), override=org.key_rate_limit)])
    return owned


def accepted_turn(turn_id: uuid.UUID, *, org: Organization) -> Owned:
    """A turn that this very request has sent or joined."""
    owned = _read(org, turn_id)
    release_connection()
    if owned is None:
        raise NotFound
    return owned


def state_of(owned: Owned, *, org: Organization) -> dict[str, Any]:
    """`status`, and `response` once the turn is done."""
    if owned.status not in (Turn.Status.DONE, Turn.Status.FAILED):
        # What is answered together with another turn is in the queue no more than that.
        status = Turn.Status.RUNNING if owned.merged_into else owned.status
        return {"status": status, "response": None}
    row = waiting.look(org, owned.turn_id)
    try:
        return {"status": row.status, "response": waiting.response_of(row)}
    except HaloError:
        return {"status": row.status, "response": None}


def _read(org: Organization, turn_id: uuid.UUID, **conditions: Any) -> Owned | None:
    row = (
        Turn.objects.for_org(org)
        .filter(pk=turn_id, **conditions)
        .values_list(
            "pk",
            "conversation__session__session_id",
            "agent_version__agent_id",
            "status",
            "keeps_text",
            "merged_into_id",
        )
        .first()
    )
    return Owned(*row) if row else None
