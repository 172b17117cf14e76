"""Rate limits: counted atomically in Redis, in this process while Redis is away.

Each limit is a window of a minute that slides: what was counted in the minute before weighs as much as of it still lies
within the last 60 seconds. A visitor may send the whole limit at once, never more than it in a minute, and learns in
whole seconds when the next request will pass.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from halo import metrics, rate_limits, wire
from halo.errors import RateLimited

WINDOW_MS = 60_000
MAX_LOCAL = 50_000

# KEYS: buckets; ARGV: their limits. All or nothing: what is refused is counted nowhere, so that who floods uses up his
# own limit and nobody else's. Returns the wait in milliseconds and the bucket that asks for it. The same as `_count`.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window, into = math.floor(now / 60000), now % 60000
local wait, fullest, counted = 0, 0, {}
for i, key in ipairs(KEYS) do
  local row = redis.call('HMGET', key, 'window', 'current', 'previous')
  local current, previous, limit = tonumber(row[2] or 0), tonumber(row[3] or 0), tonumber(ARGV[i])
  local age = window - tonumber(row[1] or window)
  if age == 1 then current, previous = 0, current elseif age ~= 0 then current, previous = 0, 0 end
  counted[i] = {current + 1, previous}
  local own = 0
  if current + 1 > limit then
    own = 60000 - into + 60000 * math.max(0, current + 1 - limit) / current
  elseif previous > 0 then
    own = 60000 * (previous + current + 1 - limit) / previous - into
  end
  if own > wait then wait, fullest = own, i end
end
if wait > 0 then return {math.ceil(wait), fullest} end
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, 'window', window, 'current', counted[i][1], 'previous', counted[i][2])
  redis.call('PEXPIRE', key, 120000)
end
return {0, 0}
"""

# One less in each bucket's present minute; where another one has begun, what was counted weighs less by itself.
_GIVE_BACK = """
local window = tostring(math.floor(redis.call('TIME')[1] / 60))
for _, key in ipairs(KEYS) do
  local row = redis.call('HMGET', key, 'window', 'current')
  if row[1] == window and tonumber(row[2]) > 0 then redis.call('HINCRBY', key, 'current', -1) end
end
"""

_lock = threading.Lock()
_local: OrderedDict[str, tuple[int, int, int]] = OrderedDict()


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
    keys, limits = _keys(wanted), [bucket.limit for bucket in wanted]
    try:
        with wire.calling() as client:
            wait_ms, fullest = client.eval(_SCRIPT, len(keys), *keys, *limits)
    except wire.WireAway:
        wait_ms, fullest = _take_locally(keys, limits, now=time.monotonic() * 1000)
    if wait_ms > 0:
        metrics.count("halo_shed_total", wanted[fullest - 1].name)
        raise RateLimited(retry_after=math.ceil(wait_ms / 1000))


def give_back(buckets: Iterable[Bucket | None]) -> None:
    """Undoes a `take` of this moment, as for a request that is refused for another reason."""
    keys = _keys([bucket for bucket in buckets if bucket is not None])
    if not keys:
        return
    try:
        with wire.calling() as client:
            client.eval(_GIVE_BACK, len(keys), *keys)
    except wire.WireAway:
        with _lock:
            for key in keys:
                window, current, previous = _local.get(key, (0, 0, 0))
                if current:
                    _local[key] = (window, current - 1, previous)


def _keys(buckets: list[Bucket]) -> list[str]:
    return [f"halo:limit:{bucket.name}:{bucket.subject}" for bucket in buckets]


def _take_locally(keys: list[str], limits: list[int], *, now: float) -> tuple[float, int]:
    """As the script: the wait, and the number of the bucket that asks for it, from 1."""
    window, into = int(now // WINDOW_MS), now % WINDOW_MS
    with _lock:
        counted = [_count(_local.get(key), window, into, limit) for key, limit in zip(keys, limits, strict=True)]
        wait, fullest = max((wait, number) for number, (_, wait) in enumerate(counted, 1))
        if wait > 0:
            return wait, fullest
        for key, (row, _) in zip(keys, counted, strict=True):
            _local[key] = row
            _local.move_to_end(key)
        while len(_local) > MAX_LOCAL:
            _local.popitem(last=False)
    return 0.0, 0


def _count(
    row: tuple[int, int, int] | None, window: int, into: float, limit: int
) -> tuple[tuple[int, int, int], float]:
    """A bucket's row after one more request, and the milliseconds until that request may pass (0 or less: now)."""
    then, current, previous = row or (window, 0, 0)
    if window - then == 1:
        current, previous = 0, current
    elif window != then:
        current = previous = 0
    wait = 0.0
    if current + 1 > limit:
        wait = WINDOW_MS - into + WINDOW_MS * max(0, current + 1 - limit) / current
    elif previous > 0:
        wait = WINDOW_MS * (previous + current + 1 - limit) / previous - into
    return (window, current + 1, previous), wait
