"""Redis as everyone here uses it: short time-outs, and "away" remembered so that a request pays for it once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
from django.conf import settings

from halo.companion import Companion

AWAY_SECONDS = 2.0
SOCKET_SECONDS = 0.5
# No read blocks for longer; its socket waits a little longer still.
BLOCK_SECONDS = 60.0
# While somebody waits Redis is asked so often whether it is there. On a busy machine it may take its time.
PULSE_SECONDS, PULSE_PATIENCE_SECONDS = 1.0, 2.0

_lock = threading.Lock()
_clients: dict[str, redis.Redis] = {}
_away_until = 0.0


class WireAway(Exception):
    """Redis did not answer, or is known not to; every caller has a way on without it."""


def is_away() -> bool:
    """Whether Redis failed within the last two seconds in this process."""
    return time.monotonic() < _away_until


def mark_away() -> None:
    """Remembers that Redis did not answer; limiter, bell, tape and cache all consult it."""
    global _away_until
    _away_until = time.monotonic() + AWAY_SECONDS


def mark_back() -> None:
    """Forgets a failure at once (tests; a successful ping)."""
    global _away_until
    _away_until = 0.0


@contextmanager
def calling(*, blocking: bool = False) -> Iterator[redis.Redis]:
    """A client to use inside the block; any Redis failure there becomes WireAway and is remembered."""
    if is_away():
        raise WireAway
    try:
        if blocking:
            with _pulse.looking():
                yield _client("blocking")
        else:
            yield _client("short")
    except (redis.exceptions.RedisError, OSError) as error:
        mark_away()
        raise WireAway from error


def _feel_pulse() -> None:
    """Whether Redis is there; one that is frozen keeps its connections, and who waits on one would learn nothing."""
    try:
        _client("pulse").ping()
    except (redis.exceptions.RedisError, OSError):
        mark_away()
        _cut_off()


_pulse = Companion("halo-pulse", _feel_pulse, pause=lambda: PULSE_SECONDS)


def _cut_off() -> None:
    """Wakes who waits, with an error.

    Not by `ConnectionPool.disconnect`, which also closes: the number of a closed socket may be another's by the time at
    which its reader reads.
    """
    client = _clients.get("blocking")
    for connection in list(client.connection_pool._in_use_connections) if client else ():
        with suppress(OSError, AttributeError):
            connection._sock.shutdown(socket.SHUT_RDWR)


def entries_of(streams: Any) -> list[tuple[str, dict[str, str]]]:
    """The entries in what XREAD of one stream answers."""
    # RESP2 answers a list of pairs, RESP3 a mapping of lists.
    if not streams:
        return []
    if isinstance(streams, dict):
        (batches,) = streams.values()
        return [entry for batch in batches for entry in (batch if isinstance(batch, list) else [batch])]
    entries: list[tuple[str, dict[str, str]]] = streams[0][1]
    return entries


def forget_connections() -> None:
    """Drops the pools; called after a fork, whose child must not share sockets."""
    with _lock:
        _clients.clear()


_PATIENCE = {"short": SOCKET_SECONDS, "blocking": BLOCK_SECONDS + 1.0, "pulse": PULSE_PATIENCE_SECONDS}


def _client(kind: str) -> redis.Redis:
    client = _clients.get(kind)
    if client is None:
        with _lock:
            client = _clients.get(kind)
            if client is None:
                client = _clients[kind] = redis.Redis.from_url(
                    settings.REDIS_URL,
                    socket_timeout=_PATIENCE[kind],
                    socket_connect_timeout=SOCKET_SECONDS,
                    # One connection a waiter; the number of waiters is bounded by the web server's threads.
                    max_connections=4096,
                    retry=None,
                    decode_responses=True,
                )
    return client
