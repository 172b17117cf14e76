"""What arrives at an organisation's keys: noted in each process, added up in Redis, shown on the install page.

To note something costs a few look-ups in dictionaries. The thread that flushes the metrics writes what is new every two
seconds, so that no request asks Redis for it; where Redis is away, it is kept for the next time.

SECURITY: whoever has the public key sends what they like. Addresses are plain and cut, origins are the newest few, and
all else is numbers and words of ours, so that neither memory nor Redis can be filled.
"""

from __future__ import annotations

import contextlib
import enum
import json
import re
import threading
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.http import HttpRequest

from halo import wire
from halo.api.addresses import page_of

# What is counted is kept by the quarter of an hour, for a day.
SLICE_SECONDS = 900
SLICES = 96
KEPT_SECONDS = 7 * 86_400
MOST_ORIGINS = 20
LONGEST_ORIGIN, LONGEST_PAGE = 120, 200
NO_ORIGIN = "no origin"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:_-]+\Z")


class Seen(enum.StrEnum):
    """Something that arrived."""

    LOADED = "loaded"  # the widget asked how the chat looks, for which there is no key
    ALLOWED = "allowed"  # a request whose key opened the door
    REFUSED_ORIGIN = "refused_origin"
    ENDED_KEY = "ended_key"
    ANONYMOUS = "anonymous"
    VERIFIED = "verified"
    UNVERIFIED = "unverified"  # named a user and proved nothing, with verification off
    REFUSED = "refused"  # the same, with verification on


class Site(enum.StrEnum):
    """How an origin stands to the keys it was used with."""

    LISTED = "listed"
    ANY = "any"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One that came last of its kind: when (seconds), from which page, with which key, and why it was no better."""

    at: float
    origin: str = ""
    page: str = ""
    key_id: int = 0
    why: str = ""


@dataclass(slots=True)
class _News:
    """What of one organisation has not been written yet."""

    counts: Counter[tuple[int, str]] = field(default_factory=Counter)
    last: dict[str, Arrival] = field(default_factory=dict)
    keys: dict[int, float] = field(default_factory=dict)
    sites: dict[Site, OrderedDict[str, float]] = field(default_factory=dict)

    def put_back(self, older: _News) -> None:
        """Takes up again what could not be written."""
        self.counts.update(older.counts)
        self.last = {**older.last, **self.last}
        self.keys = {**older.keys, **self.keys}
        for site, origins in older.sites.items():
            newer = self.sites.get(site, OrderedDict())
            self.sites[site] = OrderedDict(list({**origins, **newer}.items())[-MOST_ORIGINS:])


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is known of an organisation's traffic; `hour` and `day` count what `Seen` names, and `why:<word>`."""

    last: Mapping[str, Arrival]
    keys: Mapping[int, float]
    sites: list[tuple[Site, str, float]]
    hour: Mapping[str, int]
    day: Mapping[str, int]


_lock = threading.Lock()
_news: dict[uuid.UUID, _News] = {}
_mine = threading.local()


def saw_loaded(org_id: uuid.UUID, request: HttpRequest) -> None:
    """A page with the organisation's snippet has asked how the chat looks."""
    came = _came(request, key_id=0)
    with _lock:
        _note(org_id, Seen.LOADED, came)


def saw_request(org_id: uuid.UUID, request: HttpRequest, *, key_id: int, seen: Seen, listed: bool = False) -> None:
    """A request with a key of the organisation: let in, or refused for its origin or because the key has ended."""
    came = _came(request, key_id=key_id)
    _mine.came = org_id, came
    site = Site.REFUSED if seen == Seen.REFUSED_ORIGIN else Site.LISTED if listed else Site.ANY
    with _lock:
        news = _note(org_id, seen, came)
        if seen == Seen.ENDED_KEY:
            return
        if seen == Seen.ALLOWED:
            news.keys[key_id] = came.at
        origins = news.sites.setdefault(site, OrderedDict())
        origins[came.origin] = came.at
        origins.move_to_end(came.origin)
        if len(origins) > MOST_ORIGINS:
            origins.popitem(last=False)


def saw_identity(org_id: uuid.UUID, seen: Seen, why: str = "") -> None:
    """What became of the identity that this thread's request names; `why` is a word of ours."""
    of, came = getattr(_mine, "came", (None, None))
    known = came if of == org_id else None
    at = time.time()
    origin, page, key_id = (known.origin, known.page, known.key_id) if known else ("", "", 0)
    with _lock:
        news = _note(org_id, seen, Arrival(at, origin, page, key_id, why))
        if why:
            news.counts[_slice(at), f"why:{why}"] += 1


def flush() -> None:
    """Writes what this process has noted; where Redis is away it is kept for the next time."""
    global _news
    if not _news or wire.is_away():
        return
    with _lock:
        taken, _news = _news, {}
    try:
        with wire.calling() as client:
            pipe = client.pipeline(transaction=False)
            for org_id, news in taken.items():
                _write(pipe, org_id, news)
            pipe.execute()
    except wire.WireAway:
        with _lock:
            for org_id, news in taken.items():
                _news.setdefault(org_id, _News()).put_back(news)


def read(org_id: uuid.UUID, *, now: float) -> Traffic:
    """What all processes have written of the organisation within the last days; raises halo.wire.WireAway."""
    newest = _slice(now)
    with wire.calling() as client:
        pipe = client.pipeline(transaction=False)
        pipe.hgetall(_key(org_id, "last"))
        for site in Site:
            pipe.zrevrange(_key(org_id, site), 0, MOST_ORIGINS - 1, withscores=True)
        for ago in range(SLICES):
            pipe.hgetall(_key(org_id, str(newest - ago)))
        found = pipe.execute()
    kept, sites, slices = found[0], found[1 : 1 + len(Site)], found[1 + len(Site) :]
    last = {name: made for name, text in kept.items() if not name.startswith("key:") and (made := _arrival(text))}
    hour, day = Counter[str](), Counter[str]()
    for ago, counts in enumerate(slices):
        numbers = {name: int(number) for name, number in counts.items()}
        day.update(numbers)
        if ago < 3600 // SLICE_SECONDS:
            hour.update(numbers)
    return Traffic(
        last=last,
        keys={int(name[4:]): float(at) for name, at in kept.items() if name.startswith("key:")},
        sites=[(site, name, at) for site, names in zip(Site, sites, strict=True) for name, at in names],
        hour=hour,
        day=day,
    )


def _note(org_id: uuid.UUID, seen: Seen, came: Arrival) -> _News:
    news = _news.get(org_id)
    if news is None:
        news = _news[org_id] = _News()
    news.counts[_slice(came.at), seen.value] += 1
    news.last[seen.value] = came
    return news


def _write(pipe: Any, org_id: uuid.UUID, news: _News) -> None:
    slices = {number for number, _ in news.counts}
    for (number, name), count in news.counts.items():
        pipe.hincrby(_key(org_id, str(number)), name, count)
    for number in slices:
        pipe.expire(_key(org_id, str(number)), SLICE_SECONDS * (SLICES + 1))
    last: dict[str, str] = {name: json.dumps(asdict(arrival)) for name, arrival in news.last.items()}
    last |= {f"key:{key_id}": str(at) for key_id, at in news.keys.items()}
    pipe.hset(_key(org_id, "last"), mapping=last)
    pipe.expire(_key(org_id, "last"), KEPT_SECONDS)
    for site, origins in news.sites.items():
        key = _key(org_id, site)
        pipe.zadd(key, dict(origins))
        pipe.zremrangebyrank(key, 0, -MOST_ORIGINS - 1)
        pipe.expire(key, KEPT_SECONDS)


def _came(request: HttpRequest, *, key_id: int) -> Arrival:
    given = request.META.get("HTTP_ORIGIN")
    origin = NO_ORIGIN if given is None else given[: LONGEST_ORIGIN + 1].lower()
    if given is not None and origin != "null" and (len(origin) > LONGEST_ORIGIN or not _ORIGIN.match(origin)):
        origin = "something else"
    # What stands behind a question mark may be anybody's secret.
    page = page_of(request).partition("?")[0].partition("#")[0][:LONGEST_PAGE]
    return Arrival(time.time(), origin, page, key_id)


def _arrival(text: str) -> Arrival | None:
    with contextlib.suppress(ValueError, TypeError):
        return Arrival(**json.loads(text))
    return None


def _slice(at: float) -> int:
    return int(at // SLICE_SECONDS)


def _key(org_id: uuid.UUID, what: str) -> str:
    return f"halo:traffic:{org_id}:{what}"
