"""The wire of a turn: one Redis stream, written by whoever answers, read by any number of waiters.

Entries are `status` and `delta` while the answer comes to be, `merged` where it comes to be on another turn's tape,
`done` when it has ended, with its response where there is one, and `look` where the row is to be looked at whatever was
told. It is a convenience with a limited life: the turn's row is the truth, and losing a tape loses nothing.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from halo import wire

LIFETIME_SECONDS = 600
# Who follows the turn reads its end at once, and who comes later the row.
ENDED_SECONDS = 60
MAX_ENTRIES = 5000
START = "0"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing on a tape; `offset` orders it, `attempt` says which attempt at the answer wrote it."""

    offset: str
    attempt: int
    kind: str
    data: dict[str, Any]

    @property
    def generation(self) -> str:
        """Of a delta: which of the model's replies it is of."""
        return f"{self.attempt}.{self.data['round']}"


def open_for(turn_id: uuid.UUID) -> bool:
    """Opens the tape of a turn in flight, so that its answer is written on it; False where Redis is away."""
    return append(turn_id, attempt=0, kind="status", data={"state": "queued"})


def append(turn_id: uuid.UUID, *, attempt: int, kind: str, data: dict[str, Any] | None = None) -> bool:
    """Writes one entry; False where Redis is away, which nobody needs to act upon."""
    try:
        with wire.calling() as client:
            pipe = client.pipeline(transaction=False)
            add(pipe, turn_id, attempt=attempt, kind=kind, data=data)
            pipe.execute()
    except wire.WireAway:
        return False
    return True


def add(pipe: Any, turn_id: uuid.UUID, *, attempt: int, kind: str, data: dict[str, Any] | None = None) -> None:
    """Puts the writing of one entry into a pipeline of redis-py's."""
    _put(pipe, turn_id, _fields(attempt, kind, data), seconds=LIFETIME_SECONDS)


def end(pipe: Any, turn_id: uuid.UUID, *, attempt: int, response: str = "") -> None:
    """Puts the writing of `done` into a pipeline of redis-py's; `response` is JSON in ASCII, as it is stored."""
    data = f'{{"response": {response}}}' if response else "{}"
    _put(pipe, turn_id, {"attempt": attempt, "kind": "done", "data": data}, seconds=ENDED_SECONDS)


def _put(pipe: Any, turn_id: uuid.UUID, fields: Any, *, seconds: int) -> None:
    pipe.xadd(key_of(turn_id), fields, maxlen=MAX_ENTRIES, approximate=True)
    pipe.expire(key_of(turn_id), seconds)


def forget(turn_id: uuid.UUID) -> None:
    """Removes what was written for a turn that begins anew."""
    try:
        with wire.calling() as client:
            client.delete(key_of(turn_id))
    except wire.WireAway:
        return


def append_if_open(turn_id: uuid.UUID, *entries: tuple[str, dict[str, Any]], attempt: int) -> bool:
    """Writes entries, each a kind and its data, on a tape that somebody has opened; readers get them together.

    False where there is no tape, or Redis is away.
    """
    try:
        with wire.calling() as client:
            # Without a transaction a waiting reader would be woken for each.
            pipe = client.pipeline(transaction=len(entries) > 1)
            for kind, data in entries:
                fields = _fields(attempt, kind, data)
                pipe.xadd(key_of(turn_id), fields, maxlen=MAX_ENTRIES, approximate=True, nomkstream=True)
            return None not in pipe.execute()
    except wire.WireAway:
        return False


def text_on(turn_id: uuid.UUID) -> tuple[str, str]:
    """The generation of the newest text on the tape, and that text; two empty strings where there is none.

    Raises halo.wire.WireAway.
    """
    with wire.calling() as client:
        entries: Any = client.xrange(key_of(turn_id))
    generation, text = "", ""
    for entry in _read(entries):
        if entry.kind == "delta":
            if entry.generation != generation:
                generation, text = entry.generation, ""
            text = text[: entry.data["at"]] + entry.data["text"]
    return generation, text


def read(turn_id: uuid.UUID, *, after: str, wait_seconds: float) -> list[Entry]:
    """Entries behind `after`, waiting up to `wait_seconds` (60 at most) for the first; takes nothing away.

    Raises halo.wire.WireAway.
    """
    block_ms = max(1, int(min(wait_seconds, wire.BLOCK_SECONDS) * 1000))
    with wire.calling(blocking=True) as client:
        streams: Any = client.xread({key_of(turn_id): after}, block=block_ms)
    return _read(wire.entries_of(streams))


def _read(entries: list[tuple[str, dict[str, str]]]) -> list[Entry]:
    return [
        Entry(
            offset=offset,
            attempt=int(fields["attempt"]),
            kind=fields["kind"],
            data=json.loads(fields["data"]),
        )
        for offset, fields in entries
    ]


def _fields(attempt: int, kind: str, data: dict[str, Any] | None) -> Any:
    return {"attempt": attempt, "kind": kind, "data": json.dumps(data or {}, ensure_ascii=False)}


def key_of(turn_id: uuid.UUID) -> str:
    """Where the turn's tape is in Redis; it exists once something was written on it."""
    return f"halo:tape:{turn_id}"
