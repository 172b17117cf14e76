"""Is it well today? The last 24 hours of an organisation, held against its usual day."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, F, Q
from django.urls import reverse

from conversations.analytics import numbers
from conversations.analytics.charts import Spark, spark
from conversations.analytics.counting import whole_hour
from conversations.analytics.numbers import Numbers
from conversations.models import Conversation, Ticket, Turn
from conversations.money import money
from orgs.models import Organization

DAY = dt.timedelta(days=1)
# The usual day is the middle one of these many days before; the same weekdays, where there are two of them.
WEEKDAYS, LATEST, FEWEST = (7, 14, 21, 28), range(1, 7), 2
SHOWN_DAYS = 14
MOST_COUNTED = 1_000
# Differences that chance seldom makes: one in a hundred.
Z = 2.6


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure: what it is now, what it usually is, and whether that is something to look at."""

    name: str
    value: str
    usual: str = ""
    verdict: str = ""
    # "", "good", "fair" or "bad".
    tone: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    link: str = ""
    spark: Spark | None = None


@dataclass(frozen=True, slots=True)
class Today:
    """All that the front page says about an organisation."""

    org: Organization
    since: dt.datetime
    tiles: list[Tile]
    worth_a_look: list[Tile]
    knows_usual: bool
    waiting: list[tuple[str, str, str]]
    days: list[tuple[dt.datetime, Numbers]] = field(default_factory=list)


def today(org: Organization, *, now: dt.datetime, several: bool) -> Today:
    """The front page's figures, in six bounded queries; `several`: whether lists have to name the organisation."""
    since = now - DAY
    latest = numbers.live([org.pk], since=since, until=now).get(org.pk, Numbers())
    days = _days_before(org, now)
    usual = _usual(days)
    shown = [(now - DAY * back, days.get(back, Numbers())) for back in range(SHOWN_DAYS - 1, 0, -1)]
    shown.append((now, latest))
    lists = _Lists(org, since, several)
    tiles = _tiles(org, latest, usual, [row for _, row in shown], lists, now)
    return Today(
        org=org,
        since=since,
        tiles=tiles,
        worth_a_look=[tile for tile in tiles if tile.tone in ("fair", "bad")],
        knows_usual=bool(usual),
        waiting=_waiting(org, lists),
        days=shown,
    )


def _days_before(org: Organization, now: dt.datetime) -> dict[int, Numbers]:
    """Stretches of 24 hours by how many days ago they ended, as far as the organisation was there."""
    end = whole_hour(now)
    hours = numbers.counted(org, by=numbers.BY_HOUR, since=end - DAY * 30, until=end)
    first = min(hours, default=end)
    found: dict[int, Numbers] = {}
    for back in range(1, 29):
        begins, ends = end - DAY * (back + 1), end - DAY * back
        if begins >= whole_hour(first):
            found[back] = numbers.total(row for hour, row in hours.items() if begins <= hour < ends)
    return found


def _usual(days: Mapping[int, Numbers]) -> list[Numbers]:
    """The days that a usual one is made of; none where there are too few."""
    for chosen in (WEEKDAYS, LATEST):
        found = [days[back] for back in chosen if back in days]
        if len(found) >= FEWEST:
            return found
    return []


class _Lists:
    """Addresses of the lists behind figures."""

    def __init__(self, org: Organization, since: dt.datetime, several: bool) -> None:
        self._org = {"org": str(org.pk)} if several else {}
        self._since = since.replace(microsecond=0).isoformat(sep=" ")

    def conversations(self, **filters: str) -> str:
        asked = {**self._org, "last_message_at__gte": self._since, **filters}
        return f"{reverse('admin:conversations_conversation_changelist')}?{urlencode(asked)}"

    def of(self, page: str, **filters: str) -> str:
        return f"{reverse(f'admin:{page}_changelist')}?{urlencode({**self._org, **filters})}"


def _tiles(
    org: Organization,
    latest: Numbers,
    usual: Sequence[Numbers],
    shown: Sequence[Numbers],
    lists: _Lists,
    now: dt.datetime,
) -> list[Tile]:
    errors, slowest = _errors(org, now), _slowest(org, now)
    p95 = latest.took(0.95)
    unanswered = tuple(
        (f"{count:,} {what}", lists.conversations(**asked))
        for count, what, asked in (
            (latest.unknown, "not in the knowledge", {"answer_type": "not_in_knowledge"}),
            (latest.failed, "without any reply", {"outcome__exact": Conversation.Outcome.FAILED.value}),
        )
        if count
    )
    return [
        _count_tile("Messages", latest, usual, shown, lambda row: row.messages, link=lists.conversations()),
        _share_tile(
            "Answered by the agent",
            latest, usual, shown, lambda row: row.answered,
            more_is="good",
            link=lists.conversations(outcome__exact=Conversation.Outcome.ANSWERED.value),
        ),
        _share_tile(
            "Handed over",
            latest, usual, shown, lambda row: row.handed_over,
            more_is="fair",
            link=lists.conversations(outcome__in="escalated,routed"),
        ),
        _share_tile(
            "Unanswered",
            latest, usual, shown, lambda row: row.unanswered,
            more_is="bad",
            link=unanswered[0][1] if unanswered else lists.conversations(answer_type="not_in_knowledge"),
            notes=unanswered,
        ),
        _amount_tile(
            "Answer time, p95",
            p95, [day.took(0.95) for day in usual], [day.took(0.95) for day in shown],
            lambda value: f"{value:.1f} s", least=1.0,
            link=slowest, notes=((("the slowest one", slowest),) if slowest else ()),
        ),
        _share_tile(
            "Errors",
            latest, usual, shown, lambda row: row.errors,
            more_is="bad",
            link=lists.conversations(has_error__exact="1"),
            notes=tuple((f"{count:,} {code}", "") for code, count in errors),
        ),
        _amount_tile(
            "Spend",
            None if latest.unpriced and not latest.cost else float(latest.cost),
            [float(day.cost) for day in usual], [float(day.cost) for day in shown],
            lambda value: money(Decimal(f"{value:.2f}"), org.currency), least=0.5,
            link=f"{reverse('numbers')}?org={org.pk}",
            notes=((f"{latest.unpriced:,} answers without a known price", ""),) if latest.unpriced else (),
        ),
    ]  # fmt: skip


Of = Callable[[Numbers], int]


def _count_tile(
    name: str, latest: Numbers, usual: Sequence[Numbers], shown: Sequence[Numbers], of: Of, *, link: str
) -> Tile:
    value, tone, verdict, known = of(latest), "", "", ""
    if usual:
        middle = median(of(day) for day in usual)
        known, verdict = f"usually {middle:,.0f}", "as usual"
        if abs(value - middle) > 3 * math.sqrt(max(middle, 1.0)) and not 0.7 < value / max(middle, 1.0) < 1.3:
            verdict = "more than usual" if value > middle else "fewer than usual"
            # Visitors who cannot write do not complain.
            tone = "fair" if value < middle / 3 else ""
    return Tile(name, f"{value:,}", known, verdict, tone, link=link, spark=spark([of(day) for day in shown]))


def _share_tile(
    name: str,
    latest: Numbers,
    usual: Sequence[Numbers],
    shown: Sequence[Numbers],
    of: Of,
    *,
    more_is: str,
    link: str,
    notes: tuple[tuple[str, str], ...] = (),
) -> Tile:
    hits, trials = of(latest), latest.ended
    value = f"{hits / trials:.0%}" if trials else "—"
    tone, verdict, known = "", "", ""
    before = numbers.total(usual)
    if usual and before.ended:
        was = of(before) / before.ended
        known = f"usually {was:.0%}"
        if trials:
            verdict = "as usual"
            together = (hits + of(before)) / (trials + before.ended)
            spread = math.sqrt(together * (1 - together) * (1 / trials + 1 / before.ended))
            if spread and abs(hits / trials - was) > max(Z * spread, 0.02):
                is_more = hits / trials > was
                verdict = "more than usual" if is_more else "less than usual"
                good_when_more = more_is == "good"
                tone = "good" if is_more == good_when_more else ("bad" if more_is == "bad" else "fair")
    counted = ((f"{hits:,} of {trials:,}", ""),) if trials else ()
    line = spark([of(day) / day.ended if day.ended else None for day in shown])
    return Tile(name, value, known, verdict, tone, counted + notes, link, line)


def _amount_tile(
    name: str,
    value: float | None,
    usual: Sequence[float | None],
    shown: Sequence[float | None],
    says: Callable[[float], str],
    *,
    least: float,
    link: str,
    notes: tuple[tuple[str, str], ...] = (),
) -> Tile:
    """A figure of which less is better; `least`: a difference too small to be told."""
    tone, verdict, known = "", "", ""
    known_days = [day for day in usual if day is not None]
    if known_days:
        middle = median(known_days)
        known = f"usually {says(middle)}"
        if value is not None:
            verdict = "as usual"
            if abs(value - middle) > least and not 0.67 < value / max(middle, 1e-9) < 1.5:
                verdict = "more than usual" if value > middle else "less than usual"
                tone = "bad" if value > middle else "good"
    return Tile(name, "—" if value is None else says(value), known, verdict, tone, notes, link, spark(shown))


def _errors(org: Organization, now: dt.datetime) -> list[tuple[str, int]]:
    """The commonest errors of the last 24 hours."""
    found = Turn.objects.for_org(org).filter(accepted_at__gte=now - DAY).exclude(error_code="")
    rows = found.values("error_code").annotate(count=Count("pk")).order_by("-count", "error_code")[:3]
    return [(str(row["error_code"]).replace("_", " "), row["count"]) for row in rows]


def _slowest(org: Organization, now: dt.datetime) -> str:
    """Where the slowest answer of the last 24 hours is explained; empty where there was none."""
    found = Turn.objects.for_org(org).filter(
        accepted_at__gte=now - DAY, status=Turn.Status.DONE, outcome=Turn.Outcome.ANSWERED, merged_into=None
    )
    row = found.order_by((F("finished_at") - F("accepted_at")).desc()).values_list("conversation_id", "pk").first()
    return reverse("admin:conversations_conversation_turn", args=row) if row else ""


def _waiting(org: Organization, lists: _Lists) -> list[tuple[str, str, str]]:
    """What is under way at this moment: how many, of what, and where it is listed."""
    tickets, talks = Ticket.objects.for_org(org), Conversation.objects.for_org(org)
    open_ones = tickets.filter(status=Ticket.Status.OPEN)
    with_people = talks.filter(taken_over_by__isnull=False, status=Conversation.Status.OPEN)
    in_flight = Turn.objects.for_org(org).filter(Q(status__in=Turn.IN_FLIGHT))
    asked = {"outcome__exact": Conversation.Outcome.HUMAN.value, "status__exact": Conversation.Status.OPEN.value}
    rows: list[tuple[Any, str, str, str]] = [
        (in_flight, "message is being answered", "messages are being answered", ""),
        (open_ones, "open ticket", "open tickets", lists.of("conversations_ticket", status__exact="open")),
        (
            with_people,
            "conversation is with a teammate",
            "conversations are with teammates",
            lists.of("conversations_conversation", **asked),
        ),
    ]
    found = []
    for queryset, one, many, link in rows:
        count = queryset.order_by().values("pk")[:MOST_COUNTED].count()
        number = f"{count:,}+" if count == MOST_COUNTED else f"{count:,}"
        found.append((number, one if count == 1 else many, link))
    return found
