"""The wires of a conversation: nudges for its visitor, and for the staff of its organisation who watch their inbox.

As a turn's tape, a convenience: the rows are the truth. Nothing is written where nobody watches, so that a conversation
without a reader costs one call that finds no stream.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from halo import wire

LIFETIME_SECONDS = 60
MAX_ENTRIES = 200
# Whoever watches looks up so often, whether it is to stop.
BLOCK_SECONDS = 5.0
# `changed`: the rows are to be read. `here`: who among the staff looks at it, or writes.
CHANGED, TYPING, OPENED, HERE = "changed", "typing", "opened", "here"


@dataclass(frozen=True, slots=True)
class Nudge:
    """One thing on the wire."""

    offset: str
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    about: str = ""


def tell(
    conversation_id: uuid.UUID, kind: str = CHANGED, data: dict[str, Any] | None = None, *, org_id: uuid.UUID
) -> None:
    """Nudges whoever watches; after the commit, and without effect where nobody does or Redis is away."""
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        pipe = client.pipeline(transaction=False)
        add(pipe, conversation_id, kind, data, org_id=org_id)
        pipe.execute()


def add(
    pipe: Any,
    conversation_id: uuid.UUID,
    kind: str = CHANGED,
    data: dict[str, Any] | None = None,
    *,
    org_id: uuid.UUID,
) -> None:
    """The same as commands among others of a pipeline."""
    pipe.xadd(key_of(conversation_id), _fields(kind, data), maxlen=MAX_ENTRIES, nomkstream=True)
    _add_for_staff(pipe, org_id, str(conversation_id), kind)


def tell_staff(org_id: uuid.UUID, about: uuid.UUID | None = None, kind: str = CHANGED) -> None:
    """Nudges the organisation's staff alone, about a conversation or a ticket, as what they write to each other."""
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        _add_for_staff(client, org_id, str(about or ""), kind)


def watch(conversation_id: uuid.UUID) -> str:
    """Has nudges written for a minute from now on, and returns the offset behind which they will be.

    Raises halo.wire.WireAway.
    """
    return _watch(key_of(conversation_id))


def watch_staff(org_id: uuid.UUID) -> str:
    """The same for the wire of an organisation's staff, whose nudges say in `about` which conversation they are of."""
    return _watch(_staff_key(org_id))


def read(conversation_id: uuid.UUID, *, after: str, wait_seconds: float) -> list[Nudge]:
    """Nudges behind `after`, waiting up to `wait_seconds` (5 at most) for the first; takes nothing away.

    Raises halo.wire.WireAway.
    """
    return _read(key_of(conversation_id), after, wait_seconds)


def read_staff(org_id: uuid.UUID, *, after: str, wait_seconds: float) -> list[Nudge]:
    """The same for the wire of an organisation's staff."""
    return _read(_staff_key(org_id), after, wait_seconds)


def watched(conversation_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those whose visitor has the chat open, as far as is known: nobody where Redis is away."""
    if not conversation_ids:
        return set()
    try:
        with wire.calling() as client:
            pipe = client.pipeline(transaction=False)
            for conversation_id in conversation_ids:
                pipe.exists(key_of(conversation_id))
            found = pipe.execute()
    except wire.WireAway:
        return set()
    return {conversation_id for conversation_id, there in zip(conversation_ids, found, strict=True) if there}


def _watch(key: str) -> str:
    with wire.calling() as client:
        pipe = client.pipeline(transaction=False)
        pipe.expire(key, LIFETIME_SECONDS)
        pipe.xrevrange(key, count=1)
        _, newest = pipe.execute()
        if newest:
            return str(newest[0][0])
        pipe.xadd(key, _fields(OPENED, None))
        pipe.expire(key, LIFETIME_SECONDS)
        return str(pipe.execute()[0])


def _read(key: str, after: str, wait_seconds: float) -> list[Nudge]:
    block_ms = max(1, int(min(wait_seconds, BLOCK_SECONDS) * 1000))
    with wire.calling(blocking=True) as client:
        streams: Any = client.xread({key: after}, block=block_ms)
    return [
        Nudge(offset, fields["kind"], json.loads(fields["data"]), fields.get("about", ""))
        for offset, fields in wire.entries_of(streams)
    ]


def _add_for_staff(client: Any, org_id: uuid.UUID, about: str, kind: str) -> None:
    # SECURITY: what a nudge says besides its kind is for the visitor; staff read the rows, as their role may.
    fields = {**_fields(kind, None), "about": about}
    client.xadd(_staff_key(org_id), fields, maxlen=MAX_ENTRIES, nomkstream=True)


def _fields(kind: str, data: dict[str, Any] | None) -> Any:
    return {"kind": kind, "data": json.dumps(data or {}, ensure_ascii=False)}


def key_of(conversation_id: uuid.UUID) -> str:
    """Where the conversation's wire is in Redis; it exists while somebody watches."""
    return f"halo:live:{conversation_id}"


def _staff_key(org_id: uuid.UUID) -> str:
    return f"halo:inbox:{org_id}"
