"""The wire of a conversation: nudges for whoever watches it. As a turn's tape, a convenience: the rows are the truth.

Nothing is written where nobody watches, so that a conversation without a reader costs one call that finds no stream.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from halo import wire

LIFETIME_SECONDS = 60
MAX_ENTRIES = 200
# `changed`: the rows are to be read.
CHANGED, TYPING, OPENED = "changed", "typing", "opened"


@dataclass(frozen=True, slots=True)
class Nudge:
    """One thing on the wire."""

    offset: str
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


def tell(conversation_id: uuid.UUID, kind: str = CHANGED, data: dict[str, Any] | None = None) -> None:
    """Nudges whoever watches; after the commit, and without effect where nobody does or Redis is away."""
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        add(client, conversation_id, kind, data)


def add(client: Any, conversation_id: uuid.UUID, kind: str = CHANGED, data: dict[str, Any] | None = None) -> None:
    """The same as one command among others of a pipeline."""
    client.xadd(key_of(conversation_id), _fields(kind, data), maxlen=MAX_ENTRIES, nomkstream=True)


def watch(conversation_id: uuid.UUID) -> str:
    """Has nudges written for a minute from now on, and returns the offset behind which they will be.

    Raises halo.wire.WireAway.
    """
    key = key_of(conversation_id)
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


def read(conversation_id: uuid.UUID, *, after: str, wait_seconds: float) -> list[Nudge]:
    """Nudges behind `after`, waiting up to `wait_seconds` (5 at most) for the first; takes nothing away.

    Raises halo.wire.WireAway.
    """
    block_ms = max(1, int(min(wait_seconds, wire.BLOCK_SECONDS) * 1000))
    with wire.calling(blocking=True) as client:
        streams: Any = client.xread({key_of(conversation_id): after}, block=block_ms)
    return [Nudge(offset, fields["kind"], json.loads(fields["data"])) for offset, fields in wire.entries_of(streams)]


def _fields(kind: str, data: dict[str, Any] | None) -> Any:
    return {"kind": kind, "data": json.dumps(data or {}, ensure_ascii=False)}


def key_of(conversation_id: uuid.UUID) -> str:
    """Where the conversation's wire is in Redis; it exists while somebody watches."""
    return f"halo:live:{conversation_id}"
