"""Counters and histograms of the whole installation: counted in each process, added up in Redis.

To count costs a look-up in a dictionary. Every two seconds a thread of the process adds what is new to one hash in
Redis, so that any web process can show the sums of all of them, on whichever machines they run: docs/adr/0010.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from halo import wire

KEY = "halo:metrics"
# Upper bounds, in seconds; the last bucket has none.
SHORT = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONG = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 55.0)


@dataclass(frozen=True, slots=True)
class Family:
    """What is counted under one name; `values` are all that its label may have, so that each series exists from 0.

    With `buckets` it is a histogram. SECURITY: labels are words of ours, never ids, names or anything from outside.
    """

    help: str
    label: str = ""
    values: tuple[str, ...] = ("",)
    buckets: tuple[float, ...] = ()


FAMILIES: Mapping[str, Family] = {
    "halo_turns_total": Family(
        "Turns that ended, by how.",
        "outcome",
        ("answered", "apology", "routed", "human", "model_timeout", "unavailable", "rate_limited"),
    ),
    "halo_turn_seconds": Family("From accepting a message to its answer.", buckets=LONG),
    "halo_pickup_seconds": Family("From accepting a message to the first attempt at it.", buckets=SHORT),
    "halo_model_seconds": Family(
        "One call of a model, by how it ended.",
        "result",
        ("ok", "rate_limited", "unavailable", "rejected", "cut", "blank", "timeout", "broken"),
        LONG,
    ),
    "halo_model_first_text_seconds": Family("From asking a model to its first text.", buckets=SHORT),
    "halo_model_retries_total": Family("Calls of a model that were tried again."),
    "halo_tokens_total": Family("Tokens, as the models' endpoints counted them.", "kind", ("prompt", "completion")),
    "halo_shed_total": Family(
        "Requests that were refused for load, by what was full.",
        "reason",
        (
            "session",
            "visitor",
            "new",
            "key",
            "organisation",
            "all",
            "waiting",
            "remembered",
            "web",
            "hands",
            "watchers",
        ),
    ),
    "halo_sweeps_total": Family("Looks of the sweep at the rows."),
    "halo_swept_total": Family(
        "What the sweep did.", "action", ("freed", "given_up", "overdue", "rung", "orphan", "place")
    ),
    "halo_held_back_total": Family("Turns that waited because their organisation had its share of a worker."),
    "halo_requests_total": Family(
        "HTTP requests, by status.",
        "status",
        ("2xx", "3xx", "400", "401", "403", "404", "409", "429", "4xx", "503", "504", "5xx"),
    ),
}

_lock = threading.Lock()
_new: dict[str, float] = {}


def count(name: str, value: str = "", *, by: float = 1) -> None:
    """Adds `by` to a counter of FAMILIES, under `value` of its label."""
    _add(f"{name}|{value}", by)


def observe(name: str, seconds: float, value: str = "") -> None:
    """Adds one observation to a histogram of FAMILIES."""
    _add(f"{name}|{value}|{bisect.bisect_left(FAMILIES[name].buckets, seconds)}", 1)
    _add(f"{name}|{value}|sum", seconds)


def flush() -> None:
    """Adds what this process has counted to the sums; where Redis is away it is kept for the next time."""
    global _new
    if not _new or wire.is_away():
        return
    with _lock:
        taken, _new = _new, {}
    try:
        with wire.calling() as client:
            pipe = client.pipeline(transaction=False)
            for field, by in taken.items():
                pipe.hincrbyfloat(KEY, field, by)
            pipe.execute()
    except wire.WireAway:
        for field, by in taken.items():
            _add(field, by)


def sums() -> dict[str, float]:
    """All that was counted, by `name|value` or, for histograms, `name|value|bucket` and `name|value|sum`.

    Raises halo.wire.WireAway.
    """
    with wire.calling() as client:
        found: Mapping[Any, Any] = client.hgetall(KEY)
        return {field: float(number) for field, number in found.items()}


def _add(field: str, by: float) -> None:
    with _lock:
        _new[field] = _new.get(field, 0) + by
