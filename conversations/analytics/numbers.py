"""Sums over messages: read from the rows for the last hours, and from what was counted of them for all before.

Everything is bounded by a time and goes by an index that begins with the organisation.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Self

from django.db import connection

from orgs.models import Organization

# Upper bounds of the answer times that are counted together; the last bucket has none.
BOUNDS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 55.0)
_BUCKETS = range(len(BOUNDS) + 1)
_TOOK = f"width_bucket(extract(epoch FROM t.finished_at - t.accepted_at)::float8, ARRAY{list(BOUNDS)}::float8[])"
# Of an answer that was given to somebody who waited for it; what was merged into another message's waited with that.
_TIMED = "t.status = 'done' AND t.outcome IN ('answered', 'apology') AND t.merged_into_id IS NULL"
# What is counted of messages, `where` they are; OFFSET keeps their bucket from being worked out once for each of them.
TURNS = (
    "(SELECT t.org_id, t.accepted_at, t.agent_version_id, t.status, t.outcome, t.answer_type, "  # noqa: S608
    "t.withheld, t.escalated, t.error_code, t.prompt_tokens, t.completion_tokens, t.cost, "
    f"CASE WHEN {_TIMED} THEN {_TOOK} END AS bucket FROM conversations_turn AS t WHERE {{where}} OFFSET 0) AS t"
)
_HANDED_OVER = "(t.escalated OR t.outcome IN ('routed', 'apology'))"
_UNKNOWN = "(t.answer_type = 'not_in_knowledge' OR t.withheld)"
# The one place that says what a message counts as. Each that has ended is in exactly one of `answered` to `failed`.
OF_TURNS = {
    "messages": "count(*)",
    "answered": f"count(*) FILTER (WHERE t.status = 'done' AND t.outcome = 'answered' AND NOT {_HANDED_OVER} "
    f"AND NOT {_UNKNOWN})",
    "unknown": f"count(*) FILTER (WHERE t.status = 'done' AND t.outcome = 'answered' AND NOT {_HANDED_OVER} "
    f"AND {_UNKNOWN})",
    "handed_over": f"count(*) FILTER (WHERE t.status = 'done' AND {_HANDED_OVER})",
    "by_people": "count(*) FILTER (WHERE t.status = 'done' AND t.outcome = 'human' AND NOT t.escalated)",
    "failed": "count(*) FILTER (WHERE t.status = 'failed')",
    "errors": "count(*) FILTER (WHERE t.error_code <> '')",
    "seconds": "ARRAY[" + ", ".join(f"count(*) FILTER (WHERE t.bucket = {n})" for n in _BUCKETS) + "]::int[]",
    "prompt_tokens": "coalesce(sum(t.prompt_tokens), 0)::bigint",
    "completion_tokens": "coalesce(sum(t.completion_tokens), 0)::bigint",
    "cost": "coalesce(sum(t.cost), 0)",
    "unpriced": "count(*) FILTER (WHERE t.cost IS NULL AND t.prompt_tokens + t.completion_tokens > 0)",
}
_OF_HOURS = {
    name: "ARRAY[" + ", ".join(f"coalesce(sum(h.seconds[{n + 1}]), 0)" for n in _BUCKETS) + "]::int[]"
    if name == "seconds"
    else f"coalesce(sum(h.{name}), 0)"
    for name in OF_TURNS
}
BY_DAY = "(h.hour AT TIME ZONE 'UTC')::date"
BY_HOUR = "h.hour"
BY_VERSION = "h.agent_version_id"


@dataclass(slots=True)
class Numbers:
    """What became of a number of messages."""

    messages: int = 0
    answered: int = 0
    unknown: int = 0
    handed_over: int = 0
    by_people: int = 0
    failed: int = 0
    errors: int = 0
    seconds: list[int] = field(default_factory=lambda: [0] * len(_BUCKETS))
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    unpriced: int = 0

    def add(self, other: Numbers) -> Self:
        """Adds `other` to this one."""
        for column in fields(self):
            if column.name != "seconds":
                setattr(self, column.name, getattr(self, column.name) + getattr(other, column.name))
        self.seconds = [mine + theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True)]
        return self

    @property
    def ended(self) -> int:
        """Messages that are not being answered any more."""
        return self.answered + self.unknown + self.handed_over + self.by_people + self.failed

    @property
    def unanswered(self) -> int:
        """Messages whose visitor got no reply, or one that says that it is not known."""
        return self.unknown + self.failed

    @property
    def timed(self) -> int:
        """Answers whose time was taken."""
        return sum(self.seconds)

    def took(self, share: float) -> float | None:
        """Seconds within which this share of the answers came, exact to a bucket; None without answers."""
        wanted, seen = share * self.timed, 0
        if not wanted:
            return None
        for n, count in enumerate(self.seconds):
            if count and seen + count >= wanted:
                low = BOUNDS[n - 1] if n else 0.0
                high = BOUNDS[n] if n < len(BOUNDS) else BOUNDS[-1]
                return low + (high - low) * (wanted - seen) / count
            seen += count
        return BOUNDS[-1]


def total(parts: Iterable[Numbers]) -> Numbers:
    """All of them together."""
    whole = Numbers()
    for part in parts:
        whole.add(part)
    return whole


def live(orgs: Iterable[uuid.UUID], *, since: dt.datetime, until: dt.datetime) -> dict[uuid.UUID, Numbers]:
    """By organisation, straight from the messages that were accepted in between; for short periods."""
    # SECURITY: the caller names the organisations that the person may see.
    source = TURNS.format(where="t.org_id = ANY(%(orgs)s) AND t.accepted_at >= %(since)s AND t.accepted_at < %(until)s")
    statement = f"SELECT t.org_id, {', '.join(OF_TURNS.values())} FROM {source} GROUP BY 1"  # noqa: S608  words of ours
    return _read(statement, {"orgs": list(orgs), "since": since, "until": until})


def counted(
    org: Organization | uuid.UUID,
    *,
    by: str,
    since: dt.datetime,
    until: dt.datetime,
    agent: uuid.UUID | None = None,
) -> dict[Any, Numbers]:
    """By BY_DAY, BY_HOUR or BY_VERSION, from what was counted of whole hours."""
    of_agent = "AND h.agent_version_id IN (SELECT id FROM agents_agentversion WHERE agent_id = %(agent)s) "
    statement = (
        f"SELECT {by}, {', '.join(_OF_HOURS.values())} FROM conversations_hournumbers AS h "  # noqa: S608
        "WHERE h.org_id = %(org)s AND h.hour >= %(since)s AND h.hour < %(until)s "
        f"{of_agent if agent else ''}GROUP BY 1"
    )
    org_id = org.pk if isinstance(org, Organization) else org
    return _read(statement, {"org": org_id, "since": since, "until": until, "agent": agent})


def _read(statement: str, values: dict[str, Any]) -> dict[Any, Numbers]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return {key: Numbers(**dict(zip(OF_TURNS, found, strict=True))) for key, *found in cursor.fetchall()}
