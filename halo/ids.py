"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import datetime as dt
import os
import random
import threading
import time
import uuid

_lock = threading.Lock()
_latest = 0


def uuid7() -> uuid.UUID:
    """A UUIDv7 (RFC 9562, section 6.2, method 3): 60 bits of time in 1/4096 ms, then 62 random bits.

    Of two that one process makes, the later is the greater, whatever the clock does meanwhile.
    """
    global _latest
    now = time.time_ns() * 4096 // 1_000_000
    with _lock:
        _latest = now = max(now, _latest + 1)
    milliseconds, fraction = now >> 12 & 0xFFFF_FFFF_FFFF, now & 0xFFF
    return _made(milliseconds, fraction, int.from_bytes(os.urandom(8)) >> 2)


def uuid7_at(moment: dt.datetime, chance: random.Random) -> uuid.UUID:
    """A UUIDv7 as it would have been made then, for rows that are stored later; never for what must not be guessed."""
    microseconds = int(moment.timestamp() * 1_000_000)
    return _made(microseconds // 1000, microseconds % 1000 * 4096 // 1000, chance.getrandbits(62))


def _made(milliseconds: int, fraction: int, chance: int) -> uuid.UUID:
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | chance)


def parse_uuid(text: str) -> uuid.UUID | None:
    """The id in a client's words; None where there is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
