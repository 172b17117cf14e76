"""Pages of records for programs: in the order of their last change, from where the one before ended.

What was written within the last seconds is left out: a transaction that began earlier may commit later, and whoever
reads on from the newest row would never see its rows.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
import uuid
from dataclasses import dataclass

from django.http import QueryDict

from halo.api import dates
from halo.errors import InvalidRequest
from halo.ids import parse_uuid

SETTLED = dt.timedelta(seconds=15)
DEFAULT_LIMIT, MOST = 100, 500
_NUMBER = re.compile(r"[0-9]{1,6}\Z")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for; `after` is the last row that the caller has: its time and its id."""

    limit: int
    after: tuple[dt.datetime, uuid.UUID] | None
    updated_since: dt.datetime | None
    conversation_id: uuid.UUID | None


def read_query(query: QueryDict, *, allowed: frozenset[str]) -> Asked:
    """The parameters, checked; raises InvalidRequest for what is unknown, twice there or malformed."""
    for name, values in query.lists():
        if name not in allowed:
            raise InvalidRequest(f"{name[:40]} is not a parameter here.", field=name[:40])
        if len(values) > 1:
            raise InvalidRequest(f"{name} may be there once.", field=name)
    return Asked(
        limit=_limit(query.get("limit", "")),
        after=_position(query.get("cursor", "")),
        updated_since=_moment(query.get("updated_since", "")),
        conversation_id=_id(query.get("conversation_id", "")),
    )


def cursor_of(at: dt.datetime, key: uuid.UUID) -> str:
    """The position behind this row. SECURITY: a position and nothing more; the organisation is the key's."""
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{key.hex}".encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[dt.datetime, uuid.UUID] | None:
    if not cursor:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor[:200].encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        at, _, key = text.partition("|")
        moment, known = dates.read(at), parse_uuid(key)
    except (binascii.Error, UnicodeError, ValueError):
        moment = known = None
    if moment is None or known is None:
        raise InvalidRequest("cursor is not one that was given out here.", field="cursor")
    return moment, known


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not _NUMBER.match(text) or not 1 <= int(text) <= MOST:
        raise InvalidRequest(f"limit is a number from 1 to {MOST}.", field="limit")
    return int(text)


def _moment(text: str) -> dt.datetime | None:
    if not text:
        return None
    # In an address a plus is a space, and an offset begins with one.
    moment = dates.read(text.replace(" ", "+"))
    if moment is None:
        raise InvalidRequest("updated_since is a date or time in ISO 8601, such as 2026-11-27.", field="updated_since")
    return moment


def _id(text: str) -> uuid.UUID | None:
    if not text:
        return None
    known = parse_uuid(text)
    if known is None:
        raise InvalidRequest("conversation_id is a conversation's id, a UUID.", field="conversation_id")
    return known
