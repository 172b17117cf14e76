"""Agents and their versions side by side, and what a conversation costs."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from decimal import Decimal

from agents.calibration import Interval, share
from agents.models import AgentVersion
from conversations import labels
from conversations.analytics import numbers
from conversations.analytics.numbers import Numbers
from conversations.analytics.period import Asked
from conversations.analytics.resolution import Resolution, by_version, together
from conversations.models import AnswerLabel

# The newest labels that are looked at.
MOST_LABELS = 20_000


@dataclass(frozen=True, slots=True)
class Row:
    """An agent with all of its versions, or one version of it."""

    name: str
    agent: str
    is_version: bool
    numbers: Numbers
    resolution: Resolution
    # Of the answers that somebody judged.
    right: Interval | None
    judged: int

    @property
    def answered(self) -> Interval | None:
        return share(self.numbers.answered, self.numbers.ended) if self.numbers.ended else None

    @property
    def handed_over(self) -> float | None:
        return self.numbers.handed_over / self.numbers.ended if self.numbers.ended else None

    @property
    def unanswered(self) -> float | None:
        return self.numbers.unanswered / self.numbers.ended if self.numbers.ended else None

    @property
    def p95(self) -> float | None:
        return self.numbers.took(0.95)

    @property
    def a_message(self) -> Decimal | None:
        """What an answered message cost on average; None where prices are not known."""
        priced = self.numbers.ended - self.numbers.unpriced
        return self.numbers.cost / priced if self.numbers.cost and priced > 0 else None


def compare(asked: Asked) -> list[Row]:
    """Each agent that got messages in the period, followed by its versions, the newest first."""
    of_version = numbers.counted(
        asked.org, by=numbers.BY_VERSION, since=asked.since, until=asked.until, agent=asked.agent_id
    )
    ended = by_version(asked)
    judged = _judged(asked)
    versions = (
        AgentVersion.objects.for_org(asked.org)
        .filter(pk__in={*of_version, *ended})
        .select_related("agent")
        .order_by("agent__created_at", "agent_id", "-number")
    )
    by_agent: dict[str, list[tuple[str, AgentVersion]]] = {}
    for version in versions:
        by_agent.setdefault(str(version.agent_id), []).append((str(version.agent), version))
    rows = []
    for members in by_agent.values():
        parts = [
            _row(str(version), name, True, of_version.get(version.pk, Numbers()),
                 ended.get(version.pk) or together([]), judged.get(version.pk, (0, 0)))
            for name, version in members
        ]  # fmt: skip
        whole = _row(
            members[0][0],
            members[0][0],
            False,
            numbers.total(part.numbers for part in parts),
            together(part.resolution for part in parts),
            (sum(judged.get(v.pk, (0, 0))[0] for _, v in members), sum(part.judged for part in parts)),
        )
        rows += [whole, *(parts if len(parts) > 1 else [])]
    return rows


def a_conversation(asked: Asked, ended: Resolution) -> Decimal | None:
    """What a conversation cost on average, over the days that have settled; None where that is not known."""
    if not ended.conversations or ended.last is None:
        return None
    days = numbers.counted(asked.org, by=numbers.BY_DAY, since=asked.since, until=asked.until, agent=asked.agent_id)
    spent = sum((row.cost for day, row in days.items() if day <= ended.last), Decimal(0))
    return spent / ended.conversations if spent else None


def _row(name: str, agent: str, is_version: bool, counted: Numbers, ended: Resolution, judged: tuple[int, int]) -> Row:
    right, all_ = judged
    return Row(name, agent, is_version, counted, ended, share(right, all_) if all_ else None, all_)


def _judged(asked: Asked) -> dict[int, tuple[int, int]]:
    """By version: how many judged answers were right, and how many were judged, by the word that counts most."""
    found = AnswerLabel.objects.for_org(asked.org).filter(
        created_at__gte=asked.since, turn__accepted_at__gte=asked.since
    )
    verdicts: dict[uuid.UUID, dict[str, str]] = {}
    version_of: dict[uuid.UUID, int] = {}
    rows = found.order_by("-created_at", "-pk").values_list("turn_id", "turn__agent_version_id", "by", "verdict")
    for turn, version, by, verdict in rows[:MOST_LABELS]:
        verdicts.setdefault(turn, {})[by] = verdict
        version_of[turn] = version
    sums: dict[int, tuple[int, int]] = {}
    for turn, said in verdicts.items():
        counts = labels.effective(said)
        if counts is not None:
            right, all_ = sums.get(version_of[turn], (0, 0))
            sums[version_of[turn]] = (right + (counts[0] == labels.Verdict.RIGHT), all_ + 1)
    return sums
