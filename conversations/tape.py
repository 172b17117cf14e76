"""The wire of a turn: one Redis stream, written by whoever answers, read by any number of waiters.

It is a convenience with a limited life. The turn's row is the truth, and losing a tape loses nothing.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from halo import wire

LIFETIME_SECONDS = 600
MAX_ENTRIES = 5000
START = "0"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing on a tape; `offset` orders it, `attempt` says which attempt at the answer wrote it."""

    offset: str
    attempt: int
    kind: str
    data: dict[str, Any]


def append(turn_id: uuid.UUID, *, attempt: int, kind: str, data: dict[str, Any] | None = None) -> bool:
    """Writes one entry; False where Redis is away, which nobody needs to act upon."""
    key = _key(turn_id)
    try:
        with wire.calling() as client:
            pipe = client.pipeline(transaction=False)
            pipe.xadd(
                key,
                {"attempt": attempt, "kind": kind, "data": json.dumps(data or {}, ensure_ascii=False)},
                maxlen=MAX_ENTRIES,
                approximate=True,
            )
            pipe.expire(key, LIFETIME_SECONDS)
            pipe.execute()
    except wire.WireAway:
        return False
    return True


def read(turn_id: uuid.UUID, *, after: str, wait_seconds: float) -> list[Entry]:
    """Entries behind `after`, waiting up to `wait_seconds` (5 at most) for the first; takes nothing away.

    Raises halo.wire.WireAway.
    """
    block_ms = max(1, int(min(wait_seconds, wire.BLOCK_SECONDS) * 1000))
    with wire.calling(blocking=True) as client:
        streams: Any = client.xread({_key(turn_id): after}, block=block_ms)
    entries = _entries_of(streams)
    return [
        Entry(
            offset=offset,
            attempt=int(fields["attempt"]),
            kind=fields["kind"],
            data=json.loads(fields["data"]),
        )
        for offset, fields in entries
    ]


def _entries_of(streams: Any) -> list[tuple[str, dict[str, str]]]:
    # RESP2 answers a list of pairs, RESP3 a mapping of lists.
    if not streams:
        return []
    if isinstance(streams, dict):
        (batches,) = streams.values()
        return [entry for batch in batches for entry in (batch if isinstance(batch, list) else [batch])]
    return streams[0][1]


def _key(turn_id: uuid.UUID) -> str:
    return f"halo:tape:{turn_id}"
