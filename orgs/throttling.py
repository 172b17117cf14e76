"""Rate limits: counted atomically in Redis, in this process while Redis is away.

Each limit is a bucket that holds a minute's worth and refills evenly (the generic cell rate algorithm): a visitor may
send a burst of the whole limit, and learns in whole seconds when the next request will pass.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from halo import rate_limits, wire
from halo.errors import RateLimited

WINDOW_MS = 60_000
MAX_LOCAL = 50_000

# KEYS: buckets; ARGV: milliseconds that one request costs in each. All or nothing; returns the wait in milliseconds.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait, tats = 0, {}
for i, key in ipairs(KEYS) do
  local tat = math.max(tonumber(redis.call('GET', key) or now), now) + tonumber(ARGV[i])
  tats[i] = tat
  wait = math.max(wait, tat - 60000 - now)
end
if wait > 0 then return math.ceil(wait) end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, tats[i], 'PX', math.max(1, math.ceil(tats[i] - now)))
end
return 0
"""

_lock = threading.Lock()
_local: OrderedDict[str, float] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Bucket:
    """One thing that is counted: `name` of the limit, `subject` who is counted, `limit` requests a minute."""

    name: str
    subject: str
    limit: int


def limit(name: str) -> int | None:
    """The installation's limit of this name, a minute; None where it is off."""
    return rate_limits.parse(settings.HALO_RATE_LIMITS).get(name)


def bucket(name: str, subject: str, *, override: int | None = None) -> Bucket | None:
    """The bucket to count in, or None where this limit is off for the installation."""
    number = limit(name)
    return None if number is None else Bucket(name, subject, override or number)


def take(buckets: Iterable[Bucket | None]) -> None:
    """Counts one request in every bucket, or in none and raises RateLimited when one of them is full."""
    wanted = [bucket for bucket in buckets if bucket is not None]
    if not wanted:
        return
    keys = [f"halo:limit:{bucket.name}:{bucket.subject}" for bucket in wanted]
    costs = [WINDOW_MS / bucket.limit for bucket in wanted]
    try:
        with wire.calling() as client:
            wait_ms = float(client.eval(_SCRIPT, len(keys), *keys, *costs))
    except wire.WireAway:
        wait_ms = _take_locally(keys, costs, now=time.monotonic() * 1000)
    if wait_ms > 0:
        raise RateLimited(retry_after=math.ceil(wait_ms / 1000))


def _take_locally(keys: list[str], costs: list[float], *, now: float) -> float:
    with _lock:
        tats = [max(_local.get(key, now), now) + cost for key, cost in zip(keys, costs, strict=True)]
        wait = max(tat - WINDOW_MS - now for tat in tats)
        if wait > 0:
            return wait
        for key, tat in zip(keys, tats, strict=True):
            _local[key] = tat
            _local.move_to_end(key)
        while len(_local) > MAX_LOCAL:
            _local.popitem(last=False)
    return 0.0
