"""Whether one more turn may come in: how many are under way, and how long its bell would go unheard.

Places are kept in Redis, one a turn in flight, taken and left exactly by whichever process; the database's rows are
the truth that the sweep sets them right by, and that is counted where Redis is away. What has no place is refused
before anything is written. docs/adr/0011 explains the numbers.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from typing import Any, cast

from django.conf import settings
from django.db import connection

from conversations import tape, turns
from conversations.doorman import Doorman, View
from conversations.models import ANSWER_WITHIN
from halo import metrics, wire
from halo.db import release_connection
from halo.errors import RateLimited, Unavailable
from halo.lanes import Lanes
from orgs.models import Organization

# A place that nobody left is gone by then: its turn has long been closed.
LIFETIME_MS = int((ANSWER_WITHIN.total_seconds() + 10) * 1000)
# Between taking a place and committing its turn lie milliseconds.
UNWRITTEN_MS = 5000
# Who has waited for a lane for so long is not turned away for the queue's sake any more.
PATIENT_SECONDS = 0.1

_ALL, _WAITING, _CALM, _HEARD = "halo:turns:all", "halo:turns:waiting", "halo:turns:calm", "halo:turns:heard:"

# A burst may fill the queue at once. Where it has not been short for three seconds, what waits must be heard within
# eight seconds at the pace of the last five, and within two where that goes on.
# KEYS: all, waiting, calm, heard, own; ARGV: lifetime, most in all, most waiting (0: any number), how many wait
# elsewhere, and for a place also most of one's own, organisation and turn. Without the latter nothing is taken, and the
# answer says how many may come. Last, where it gets so far, it says whether workers have enough to do.
_ENTER = """
local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * 1000 + math.floor(time[2] / 1000)
local function number(key)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  return redis.call('ZCARD', key)
end
if KEYS[5] and number(KEYS[5]) >= tonumber(ARGV[5]) then return {'organisation', 2} end
if number(KEYS[1]) >= tonumber(ARGV[2]) then return {'all', 2} end
local queued, pace = number(KEYS[2]), 0
for ago = 1, 5 do pace = pace + tonumber(redis.call('GET', KEYS[4] .. (second - ago)) or 0) / 5 end
local short = math.max(16, pace / 2)
local waiting, enough = queued + ARGV[4], queued > short and 1 or 0
local calm = tonumber(redis.call('GET', KEYS[3]) or 0)
if waiting <= short then
  calm = now
  redis.call('SET', KEYS[3], now, 'PX', ARGV[1])
end
local most, busy = tonumber(ARGV[3]), (now - calm) / 1000
if busy > 3 and most > 0 then most = math.min(most, math.max(16, pace * math.max(2, 11 - busy))) end
if most > 0 and waiting >= most then return {'waiting', math.ceil(waiting / math.max(pace, 1)), enough} end
if KEYS[5] then
  redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[7] .. ':' .. ARGV[6])
  redis.call('ZADD', KEYS[2], now + ARGV[1], ARGV[7])
  redis.call('ZADD', KEYS[5], now + ARGV[1], ARGV[7])
  for _, i in ipairs({1, 2, 5}) do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
  return {'', 0, enough}
end
local room = ARGV[2] - redis.call('ZCARD', KEYS[1])
if most > 0 then room = math.min(room, math.ceil(most - waiting)) end
return {'', room, enough}
"""

# KEYS: waiting, heard, what may be there; ARGV: the turn.
_HEAR = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then
  local key = KEYS[2] .. redis.call('TIME')[1]
  redis.call('INCR', key)
  redis.call('EXPIRE', key, 10)
end
return redis.call('EXISTS', KEYS[3])
"""

_IN_FLIGHT = "SELECT 1 FROM conversations_turn WHERE status IN ('queued', 'running')"
_COUNT = f"""
SELECT (SELECT count(*) FROM ({_IN_FLIGHT} AND org_id = %(org)s LIMIT %(own)s) AS o),
       (SELECT count(*) FROM ({_IN_FLIGHT} LIMIT %(all)s) AS a)
"""  # noqa: S608


_mine = threading.local()
# Requests whose bodies are there and that are being accepted: so many at once, and fewer while workers have enough to
# do, as what is accepted then only waits elsewhere, and takes from them the processor that would answer it.
ACCEPTING, ACCEPTING_BESIDE_A_QUEUE = 4, 1
accepting = Lanes(ACCEPTING)


def knock(*, may_be_known: bool) -> None:
    """Refuses at next to no cost what would be refused anyway; raises Unavailable.

    `may_be_known`: the request has an Idempotency-Key, so it may be about a turn that has its place already.
    """
    if refused := doorman.knock(may_be_known=may_be_known):
        shed(refused.reason)
        raise Unavailable(retry_after=refused.retry_after)
    doorman.let_in()


def hold(*, was_counted: bool = False) -> None:
    """The calling thread begins with a request that may hold it until its answer is there; `doorman.let_go` ends it.

    `was_counted`: the doorman let it in as one for whom there is a place.
    """
    _mine.was_counted = was_counted
    doorman.hold()


def enter(turn_id: uuid.UUID, *, org: Organization) -> None:
    """Takes a place for a turn that is about to be made or reopened; `leave` it where that comes to nothing.

    Raises RateLimited where the organisation has too many turns in flight, Unavailable where all have, or where the
    workers would come to it too late. Outside a transaction.
    """
    own = org.turn_limit or settings.HALO_TURNS_PER_ORG
    is_in, _mine.was_counted = getattr(_mine, "was_counted", False) or accepting.waited > PATIENT_SECONDS, False
    keys = [_ALL, _WAITING, _CALM, _HEARD, _of(org.pk)]
    most_waiting = 0 if is_in else settings.HALO_TURNS_WAITING
    answer = _ask(keys, most_waiting, 0, own, str(org.pk), str(turn_id))
    reason, seconds = (_by_the_rows(org.pk, own), 2) if answer is None else answer
    if not reason:
        return
    shed(reason)
    if reason == "organisation":
        raise RateLimited(
            retry_after=2, message="Too many messages are being answered at the moment; please try again."
        )
    retry_after = _retry_after(seconds)
    doorman.refused(retry_after)
    raise Unavailable(retry_after=retry_after)


def _ask(keys: list[str], *wanted: str | int) -> tuple[str, int] | None:
    """Redis's answer: why not and in how many seconds, or how many may come; None where it is away."""
    try:
        with wire.calling() as client:
            reason, number, *enough = client.eval(_ENTER, len(keys), *keys, LIFETIME_MS, settings.HALO_TURNS, *wanted)
    except wire.WireAway:
        accepting.set_number(ACCEPTING)
        return None
    if enough:
        accepting.set_number(ACCEPTING_BESIDE_A_QUEUE if enough[0] else ACCEPTING)
    return str(reason), int(number)


def _look(behind: int) -> View | None:
    answer = _ask([_ALL, _WAITING, _CALM, _HEARD], settings.HALO_TURNS_WAITING, behind)
    if answer is None:
        return None
    reason, number = answer
    return View(0, _retry_after(number)) if reason else View(number, 0)


def _retry_after(seconds: int) -> int:
    return min(max(1, seconds), 10)


doorman = Doorman(_look, accepting)


def heard(turn_id: uuid.UUID) -> bool:
    """A worker has come for the turn, whatever becomes of it; `enter` goes by the pace at which that happens.

    False where nobody has opened the turn's tape so far, which is asked with it to ask once.
    """
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        return bool(client.eval(_HEAR, 3, _WAITING, _HEARD, tape.key_of(turn_id), str(turn_id)))
    return True


def leave(turn_id: uuid.UUID, *, org_id: uuid.UUID) -> None:
    """The turn has ended, or was not made; its place is free."""
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        pipe = client.pipeline(transaction=False)
        free(pipe, turn_id, org_id=org_id)
        pipe.execute()


def free(pipe: Any, turn_id: uuid.UUID, *, org_id: uuid.UUID) -> None:
    """Puts the freeing of a turn's place into a pipeline of redis-py's."""
    pipe.zrem(_ALL, f"{turn_id}:{org_id}")
    pipe.zrem(_of(org_id), str(turn_id))
    pipe.zrem(_WAITING, str(turn_id))


def seconds_to_be_heard() -> float:
    """How long a bell that is rung now will go unheard, at the pace of the last five seconds; 0 where nobody knows.

    Where nothing was heard lately, bells may well be lost: 0 too.
    """
    with contextlib.suppress(wire.WireAway), wire.calling() as client:
        second = client.time()[0]
        heard = sum(int(number or 0) for number in client.mget([f"{_HEARD}{second - ago}" for ago in range(1, 6)]))
        if heard:
            return 5 * int(client.zcard(_WAITING)) / heard
    return 0.0


def set_right() -> int:
    """Makes the places what the rows say, as after Redis was away or lost its memory; how many were wrong."""
    try:
        with wire.calling() as client:
            seconds, micros = client.time()
            now = seconds * 1000 + micros // 1000
            taken: dict[str, float] = dict(cast(Any, client.zrange(_ALL, 0, -1, withscores=True)))
            rows = {f"{turn_id}:{org_id}" for turn_id, org_id in turns.in_flight()}
            release_connection()
            lost = rows - taken.keys()
            # Who has just taken a place may not have committed yet.
            left = [name for name in taken.keys() - rows if taken[name] < now + LIFETIME_MS - UNWRITTEN_MS]
            if lost or left:
                pipe = client.pipeline(transaction=False)
                for name in lost:
                    turn, _, org = name.partition(":")
                    pipe.zadd(_ALL, {name: now + LIFETIME_MS})
                    pipe.zadd(f"halo:turns:org:{org}", {turn: now + LIFETIME_MS})
                    pipe.pexpire(_ALL, LIFETIME_MS)
                    pipe.pexpire(f"halo:turns:org:{org}", LIFETIME_MS)
                for name in left:
                    turn, _, org = name.partition(":")
                    pipe.zrem(_ALL, name)
                    pipe.zrem(f"halo:turns:org:{org}", turn)
                    pipe.zrem(_WAITING, turn)
                pipe.execute()
            return len(lost) + len(left)
    except wire.WireAway:
        return 0


def _by_the_rows(org_id: uuid.UUID, own: int) -> str:
    in_all = settings.HALO_TURNS
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"org": org_id, "own": own, "all": in_all})
        of_org, of_all = cursor.fetchone()
    release_connection()
    return "organisation" if of_org >= own else "all" if of_all >= in_all else ""


def _of(org_id: uuid.UUID) -> str:
    return f"halo:turns:org:{org_id}"


def shed(reason: str) -> None:
    """Counts a refusal."""
    metrics.count("halo_shed_total", reason)
