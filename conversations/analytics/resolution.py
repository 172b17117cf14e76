"""How conversations ended, told honestly: what is known, what is only assumed, and how sure the shares are."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, QuerySet, Sum

from agents.calibration import Interval, share
from conversations.analytics.days import ENDINGS
from conversations.analytics.period import Asked
from conversations.models import DayConversations

# Ending, name, what it means, and whether the visitor was helped: "yes", "perhaps" or "no".
WORDS: tuple[tuple[str, str, str, str], ...] = (
    ("confirmed", "Confirmed", "The visitor's last thumb went up, and nothing below happened.", "yes"),
    (
        "assumed",
        "Assumed",
        "The agent answered, the visitor said nothing about it, and did not come back within 72 hours. Whether they "
        "were helped or gave up is not known.",
        "perhaps",
    ),
    (
        "returned",
        "Came back",
        "The same person began another conversation within 72 hours, or wrote again in this one after a pause of an "
        "hour or more. Of somebody without a name only the second can be seen, so this share is rather too low.",
        "no",
    ),
    (
        "abandoned",
        "Abandoned",
        "The visitor left after the agent had asked them something, or had said that it does not know or may not say.",
        "no",
    ),
    ("denied", "Denied", "The visitor's thumb went down for an answer.", "no"),
    (
        "handed_over",
        "Handed over",
        "The agent or a rule called in a team, or a teammate took over. It may well have been solved there; it was not "
        "the agent that did.",
        "no",
    ),
    ("failed", "No reply", "Answering failed, and nothing was answered after it.", "no"),
)


@dataclass(frozen=True, slots=True)
class Ending:
    """One way in which conversations ended, with its share of all of them."""

    key: str
    name: str
    means: str
    helped: str
    count: int
    share: Interval | None


@dataclass(frozen=True, slots=True)
class Resolution:
    """All ways; `last` is the last day that has settled."""

    conversations: int
    endings: tuple[Ending, ...]
    # Confirmed; and with what is assumed, which is the most that could be claimed.
    confirmed: Interval | None
    at_most: Interval | None
    last: dt.date | None


def resolution(asked: Asked) -> Resolution:
    """Of the period's conversations that have settled."""
    rows = _rows(asked)
    sums = rows.aggregate(last=Max("day"), **{name: Sum(name, default=0) for name in ("conversations", *ENDINGS)})
    return _told(sums, sums["last"])


def by_version(asked: Asked) -> dict[int, Resolution]:
    """The same for each version that answered last."""
    names = ("conversations", *ENDINGS)
    rows = _rows(asked).values("agent_version").annotate(last=Max("day"), **{name: Sum(name) for name in names})
    return {row["agent_version"]: _told(row, row["last"]) for row in rows}


def together(parts: Iterable[Resolution]) -> Resolution:
    """Several as one."""
    kept = list(parts)
    sums: dict[str, int] = dict.fromkeys(ENDINGS, 0)
    for part in kept:
        for ending in part.endings:
            sums[ending.key] += ending.count
    days = [part.last for part in kept if part.last]
    return _told({**sums, "conversations": sum(part.conversations for part in kept)}, max(days, default=None))


def _rows(asked: Asked) -> QuerySet[DayConversations]:
    found: QuerySet[DayConversations] = DayConversations.objects.for_org(asked.org).filter(
        day__gte=asked.since.date(), day__lte=asked.until.date()
    )
    return _of_agent(found, asked.agent_id)


def _of_agent(rows: QuerySet[DayConversations], agent: uuid.UUID | None) -> QuerySet[DayConversations]:
    return rows if agent is None else rows.filter(agent_version__agent=agent)


def _told(sums: Mapping[str, Any], last: dt.date | None) -> Resolution:
    total = sums["conversations"]

    def of(count: int) -> Interval | None:
        return share(count, total) if total else None

    endings = tuple(Ending(key, name, means, helped, sums[key], of(sums[key])) for key, name, means, helped in WORDS)
    return Resolution(total, endings, of(sums["confirmed"]), of(sums["confirmed"] + sums["assumed"]), last)
