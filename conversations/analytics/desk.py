"""The pages of numbers, and each of their tables as CSV."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils import timezone

from conversations.analytics import articles as articles_read
from conversations.analytics import comparing, numbers, teamwork
from conversations.analytics import confidence as confidence_read
from conversations.analytics import gaps as gaps_read
from conversations.analytics.bars import stacked
from conversations.analytics.filters import Filters
from conversations.analytics.numbers import Numbers
from conversations.analytics.period import PERIODS, Asked, read_asked
from conversations.analytics.resolution import resolution
from conversations.labels import PRECEDENCE
from conversations.money import money
from orgs import audit
from orgs.exports import csv_response
from orgs.models import Organization
from orgs.permissions import Action, may
from orgs.staff_admin import acting
from orgs.staff_desk import desk, several_orgs, show

TABS = (
    ("numbers", "Overview"),
    ("numbers-gaps", "Gaps"),
    ("numbers-articles", "Articles"),
    ("numbers-agents", "Agents and versions"),
    ("numbers-confidence", "Confidence"),
    ("numbers-team", "Team"),
)
# The parts of a day, from the bottom up.
PARTS = (
    ("answered", "Answered"),
    ("handed_over", "Handed over"),
    ("by_people", "By teammates"),
    ("unknown", "Not known"),
    ("failed", "No reply"),
)
PLACE = "numbers"


@desk(needs=Action.READ_TRANSCRIPTS)
def overview(request: HttpRequest, org: Organization) -> HttpResponseBase:
    """What became of messages day by day, and how conversations ended."""
    asked = read_asked(org, request.GET, now=timezone.now())
    days = _days(asked)
    whole, ended = numbers.total(row for _, row in days), resolution(asked)
    chart = stacked(
        [day for day, _ in days], [(kind, name, [getattr(row, kind) for _, row in days]) for kind, name in PARTS]
    )
    context = {
        "title": "Numbers",
        "days": days,
        "whole": whole,
        "took": (whole.took(0.5), whole.took(0.95)),
        "cost": _money(whole.cost, whole, org),
        "a_conversation": _spent(comparing.a_conversation(asked, ended), org),
        "chart": chart,
        "parts": PARTS,
        "ended": ended,
    }
    return _page(request, asked, "overview", "numbers", context)


@desk(needs=Action.READ_TRANSCRIPTS)
def gaps(request: HttpRequest, org: Organization) -> HttpResponseBase:
    """Questions that were not answered, like ones together."""
    asked = read_asked(org, request.GET, now=timezone.now())
    found, looked_at = gaps_read.gaps(org, since=asked.since, until=timezone.now(), agent=asked.agent_id)
    context = {
        "title": "Gaps",
        "gaps": [(gap, _article_link(org, gap.title)) for gap in found],
        "looked_at": looked_at,
        "most": gaps_read.MOST_GROUPED,
        "may_write": may(request.user, Action.BUILD, org),
    }
    return _page(request, asked, "gaps", "numbers-gaps", context)


@desk(needs=Action.READ_TRANSCRIPTS)
def articles(request: HttpRequest, org: Organization) -> HttpResponseBase:
    """Articles by use and by judgement, and those that nobody was ever shown."""
    asked = read_asked(org, request.GET, now=timezone.now())
    rows = articles_read.articles(asked)
    by_wrong = request.GET.get("sort") == "wrong"
    if by_wrong:
        rows.sort(key=lambda row: (-row.wrong, -row.answers))
    idle, more = articles_read.never_cited(asked)
    context = {"title": "Articles", "rows": rows, "by_wrong": by_wrong, "idle": idle, "more_idle": more}
    return _page(request, asked, "articles", "numbers-articles", context)


@desk(needs=Action.READ_TRANSCRIPTS)
def agents(request: HttpRequest, org: Organization) -> HttpResponseBase:
    """Agents and versions compared."""
    asked = read_asked(org, request.GET, now=timezone.now())
    rows = [(row, _spent(row.a_message, org)) for row in comparing.compare(asked)]
    return _page(request, asked, "agents", "numbers-agents", {"title": "Agents and versions", "rows": rows})


@desk(needs=Action.READ_TRANSCRIPTS)
def confidence(request: HttpRequest, org: Organization) -> HttpResponseBase:
    """How right answers were, against how right they were said to be."""
    asked = read_asked(org, request.GET, now=timezone.now())
    filters = _labels(asked)
    context = {
        "title": "Confidence",
        "report": confidence_read.report(filters, now=timezone.now(), with_budgets=False),
        "enough": confidence_read.ENOUGH,
        "budgets": f"{reverse('admin:confidence')}?{filters.query}",
    }
    return _page(request, asked, "confidence", "numbers-confidence", context)


@desk(needs=Action.READ_TRANSCRIPTS)
def team(request: HttpRequest, org: Organization) -> HttpResponseBase:
    """What people did."""
    asked = read_asked(org, request.GET, now=timezone.now())
    tables = (("By team", teamwork.by_team(asked), False), ("By teammate", teamwork.by_teammate(asked), True))
    return _page(request, asked, "team", "numbers-team", {"title": "Team", "tables": tables})


@desk(needs=Action.EXPORT)
def export(request: HttpRequest, org: Organization, table: str) -> HttpResponseBase:
    """A table of these pages as CSV."""
    if table not in TABLES:
        raise Http404
    asked = read_asked(org, request.GET, now=timezone.now())
    header, rows = TABLES[table]
    told = {"table": table, "period": asked.period, "agent": str(asked.agent_id or "")}
    audit.record(org=org, actor=acting(request), action="numbers.exported", after=told)
    return csv_response(name=f"{table}-{org.slug}", header=header, rows=rows(asked))


def _page(request: HttpRequest, asked: Asked, template: str, tab: str, context: dict[str, Any]) -> HttpResponseBase:
    org = asked.org
    chosen = {"period": asked.period, "agent": str(asked.agent_id or "")}
    query = urlencode({**({"org": str(org.pk)} if several_orgs(request) else {}), **chosen})
    frame = {
        "tabs": [(title, f"{reverse(name)}?{query}", name == tab) for name, title in TABS],
        "asked": asked,
        "periods": PERIODS,
        "query": query,
        "may_export": may(request.user, Action.EXPORT, org),
    }
    return show(request, org, f"staff/numbers/{template}.html", {**frame, **context}, section=PLACE)


def _days(asked: Asked) -> list[tuple[dt.date, Numbers]]:
    found = numbers.counted(asked.org, by=numbers.BY_DAY, since=asked.since, until=asked.until, agent=asked.agent_id)
    return [(day, found.get(day, Numbers())) for day in asked.days]


def _labels(asked: Asked) -> Filters:
    """Every label in the period, whoever gave it; without the agents, whose budgets are another page's."""
    return Filters(asked.org, (), asked.agent, asked.period, tuple(str(by) for by in PRECEDENCE))


def _article_link(org: Organization, title: str) -> str:
    return f"{reverse('admin:agents_article_add')}?{urlencode({'org': str(org.pk), 'title': title})}"


def _spent(amount: Decimal | None, org: Organization) -> str:
    return money(amount.quantize(Decimal("0.0001")), org.currency) if amount is not None else ""


def _money(cost: Decimal, row: Numbers, org: Organization) -> str:
    return "" if not cost and row.unpriced else money(cost.quantize(Decimal("0.01")), org.currency)


# --- Exports ---------------------------------------------------------------------------------------------------------


def _day_rows(asked: Asked) -> Iterator[list[Any]]:
    for day, row in _days(asked):
        counts = [row.messages, *(getattr(row, kind) for kind, _ in PARTS), row.errors]
        yield [
            day.isoformat(),
            *counts,
            row.took(0.5),
            row.took(0.95),
            row.prompt_tokens,
            row.completion_tokens,
            row.cost,
        ]


def _ending_rows(asked: Asked) -> Iterator[list[Any]]:
    for ending in resolution(asked).endings:
        found = ending.share
        yield [ending.key, ending.count, *((found.value, found.low, found.high) if found else ("", "", ""))]


def _gap_rows(asked: Asked) -> Iterator[list[Any]]:
    found, _ = gaps_read.gaps(asked.org, since=asked.since, until=asked.until, agent=asked.agent_id)
    for gap in found:
        yield [gap.title, gap.count, gap.conversations, gap.last.isoformat(), " | ".join(q.text for q in gap.examples)]


def _article_rows(asked: Asked) -> Iterator[list[Any]]:
    for row in articles_read.articles(asked):
        yield [row.title, row.source, row.answers, row.judged, row.wrong]


def _agent_rows(asked: Asked) -> Iterator[list[Any]]:
    for row in comparing.compare(asked):
        ended = {ending.key: ending.count for ending in row.resolution.endings}
        yield [
            row.agent, row.name if row.is_version else "", row.numbers.messages,
            *(getattr(row.numbers, kind) for kind, _ in PARTS), row.p95, row.numbers.cost,
            row.resolution.conversations, ended["confirmed"], ended["assumed"], ended["returned"],
            row.judged, row.right.value if row.right else "",
        ]  # fmt: skip


def _confidence_rows(asked: Asked) -> Iterator[list[Any]]:
    figures = confidence_read.report(_labels(asked), now=timezone.now(), with_budgets=False).figures
    for mark in figures.reliability.marks if figures else ():
        group, right = mark.bin, mark.bin.observed
        yield [group.low, group.high, group.estimate, group.answers, group.right, right.value, right.low, right.high]


def _team_rows(asked: Asked) -> Iterator[list[Any]]:
    for kind, rows in (("team", teamwork.by_team(asked)), ("teammate", teamwork.by_teammate(asked))):
        for row in rows:
            hours = round(row.typical.total_seconds() / 3600, 2) if row.typical else ""
            yield [kind, row.name, row.opened, row.waiting, row.resolved, row.spam, hours, row.taken_over]


_PARTS = tuple(kind for kind, _ in PARTS)
TABLES: dict[str, tuple[tuple[str, ...], Callable[[Asked], Iterable[list[Any]]]]] = {
    "days": (
        ("day", "messages", *_PARTS, "errors", "p50_seconds", "p95_seconds", "tokens_read", "tokens_written", "cost"),
        _day_rows,
    ),
    "resolution": (("ending", "conversations", "share", "low", "high"), _ending_rows),
    "gaps": (("question", "asked", "conversations", "last", "examples"), _gap_rows),
    "articles": (("article", "source", "answers", "judged", "wrong"), _article_rows),
    "agents": (
        ("agent", "version", "messages", *_PARTS, "p95_seconds", "cost", "conversations", "confirmed", "assumed",
         "returned", "judged", "share_right"),
        _agent_rows,
    ),
    "confidence": (
        ("confidence_from", "confidence_to", "confidence_mean", "answers", "right", "share_right", "low", "high"),
        _confidence_rows,
    ),
    "team": (
        ("kind", "name", "opened", "waiting", "resolved", "spam", "typical_hours", "conversations_taken_over"),
        _team_rows,
    ),
}  # fmt: skip
