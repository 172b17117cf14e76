"""How far an export has come, for the page that began it: kept in Redis for an hour, written once a second at most."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from halo import wire

KEPT_SECONDS = 3600
EVERY_SECONDS = 1.0
# Whose last word is older than this has been broken off.
SILENT_SECONDS = 60
_KEY = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Progress:
    """`state` is unknown, running, done or lost; `total` None: it was not counted."""

    state: str = "unknown"
    done: int = 0
    total: int | None = None


def follow(org_id: uuid.UUID, key: str, *, total: int | None) -> Callable[[int, bool], None]:
    """What to call with how many are done, and whether that is all; without a fit `key` it does nothing."""
    if not _KEY.match(key):
        return lambda done, over: None
    told_at = 0.0

    def tell(done: int, over: bool) -> None:
        nonlocal told_at
        if not over and time.monotonic() - told_at < EVERY_SECONDS:
            return
        told_at = time.monotonic()
        row = {"done": done, "total": "" if total is None else total, "over": int(over), "at": time.time()}
        with contextlib.suppress(wire.WireAway), wire.calling() as client:
            pipe = client.pipeline(transaction=False)
            pipe.hset(_name(org_id, key), mapping=row)
            pipe.expire(_name(org_id, key), KEPT_SECONDS)
            pipe.execute()

    tell(0, False)
    return tell


def look(org_id: uuid.UUID, key: str) -> Progress:
    """How far the organisation's export of this key has come."""
    if not _KEY.match(key):
        return Progress()
    row: dict[str, str] = {}
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        row = dict(client.hgetall(_name(org_id, key)))  # type: ignore[arg-type]
    if not row:
        return Progress()
    state = "done" if row["over"] == "1" else "running"
    if state == "running" and time.time() - float(row["at"]) > SILENT_SECONDS:
        state = "lost"
    return Progress(state, int(row["done"]), int(row["total"]) if row["total"] else None)


def _name(org_id: uuid.UUID, key: str) -> str:
    # SECURITY: the organisation is part of the name, so nobody follows another one's.
    return f"halo:export:{org_id}:{key}"
