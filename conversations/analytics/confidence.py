"""The numbers of the Confidence page: how often answers were right, against how right they were said to be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents import calibration
from agents.budget import Verdict
from agents.calibration import Interval
from agents.models import Agent
from conversations import budgeting, labels
from conversations.analytics.charts import Reliability, RiskCoverage, reliability_chart, risk_chart
from conversations.analytics.filters import Filters
from conversations.labelled import Labelled, judged, read_labelled
from conversations.models import AnswerLabel, Turn

# Judged answers below which a figure would say more about chance than about the agent.
ENOUGH = 30
# The newest answers whose confidence is looked at.
MOST_ANSWERS = 20_000
BUDGETS = (0.01, 0.02, 0.05, 0.1)
DEFAULT_BUDGET = 0.05
EXPORT_HEADER = (
    "answered_at", "agent", "version", "conversation", "turn",
    "confidence", "label_by", "label", "labelled_at", "comment",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figures:
    """What enough judged answers show."""

    ece: float
    ece_of_chance: float
    brier: Interval
    brier_of_constant: float
    auroc: Interval | None
    reliability: Reliability
    risk: RiskCoverage


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One kind of label, by itself."""

    name: str
    counted: bool
    answers: int
    wrong: int
    share_wrong: Interval | None


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """What a budget would come to; `coverage` is the share of the latest answers that would go out."""

    verdict: Verdict
    coverage: float | None


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent with a budget in force, and what that comes to now."""

    agent: Agent
    in_force: float | None
    row: BudgetRow

    @property
    def moves(self) -> bool:
        return self.in_force is None or abs(self.in_force - self.row.verdict.threshold) >= 0.02


@dataclass(frozen=True, slots=True)
class Report:
    """Everything on the page."""

    answers: int
    more_answers: bool
    mean_of_all: float | None
    judged: int
    mean_of_judged: float | None
    right: Interval | None
    figures: Figures | None
    sources: list[SourceRow]
    budgets: list[BudgetRow]
    agents: list[AgentRow]


def report(filters: Filters, *, now: dt.datetime, with_budgets: bool = True) -> Report:
    """The page's numbers, in a constant number of queries over a bounded number of rows.

    Error budgets look at more than the period; without them nothing else is read, and they rest on what that holds.
    """
    since = filters.since(now)
    read_since = since if since is None or not with_budgets else min(since, now - budgeting.SINCE)
    agent_id = filters.agent.pk if filters.agent else None
    everything = read_labelled(org=filters.org, agent_id=agent_id, since=read_since)
    chosen = [answer for answer in everything if since is None or answer.answered_at >= since]
    recent = [answer for answer in everything if answer.answered_at >= now - budgeting.SINCE]
    counted = judged(chosen, filters.sources)
    estimates = np.array([answer.told for answer, _ in counted])
    truth = np.array([float(right) for _, right in counted])
    confidences = _latest_confidences(filters, since)
    seen = np.array(confidences[:MOST_ANSWERS])
    wanted = (budgeting.budget_of(filters.agent) if filters.agent else None) or DEFAULT_BUDGET
    budgets = [_budget_row(recent, seen, budget) for budget in sorted({*BUDGETS, wanted})]
    main = next(row.verdict for row in budgets if row.verdict.budget == wanted)
    return Report(
        answers=len(seen),
        more_answers=len(confidences) > MOST_ANSWERS,
        mean_of_all=float(seen.mean()) if len(seen) else None,
        judged=len(counted),
        mean_of_judged=float(estimates.mean()) if counted else None,
        right=calibration.share(int(truth.sum()), len(truth)) if counted else None,
        figures=_figures(estimates, truth, main) if len(counted) >= ENOUGH else None,
        sources=[_source_row(chosen, by, filters) for by in labels.PRECEDENCE],
        budgets=budgets,
        agents=_agent_rows(filters, recent, seen),
    )


def rows_for_export(filters: Filters, *, now: dt.datetime) -> Iterator[list[Any]]:
    """A row for each label within the filters, newest first."""
    found = AnswerLabel.objects.for_org(filters.org).filter(turn__confidence__isnull=False, by__in=filters.sources)
    since = filters.since(now)
    if since is not None:
        found = found.filter(created_at__gte=since, turn__accepted_at__gte=since)
    if filters.agent is not None:
        found = found.filter(turn__agent_version__agent=filters.agent)
    rows = found.order_by("-created_at", "-pk").values_list(
        "turn__accepted_at", "turn__agent_version__agent__name", "turn__agent_version__number",
        "turn__conversation_id", "turn_id", "turn__confidence", "by", "verdict", "created_at", "comment",
    )  # fmt: skip
    for answered, agent, version, conversation, turn, told, by, verdict, labelled, comment in rows[:MOST_ANSWERS]:
        times = answered.isoformat(), labelled.isoformat()
        yield [times[0], agent, version, str(conversation), str(turn), told, by, verdict, times[1], comment]


def _figures(estimates: calibration.Numbers, truth: calibration.Numbers, verdict: Verdict) -> Figures:
    right = float(truth.mean())
    points = calibration.risk_coverage(estimates, truth)
    out = [point for point in points if verdict.met and point.threshold >= verdict.threshold]
    both = 0 < truth.sum() < len(truth)
    return Figures(
        ece=calibration.calibration_error(estimates, truth),
        ece_of_chance=calibration.error_of_chance(estimates),
        brier=calibration.brier_interval(estimates, truth),
        brier_of_constant=right * (1 - right),
        auroc=calibration.auroc_interval(estimates, truth) if both else None,
        reliability=reliability_chart(calibration.reliability(estimates, truth)),
        risk=risk_chart(points, budget=verdict.budget, chosen=out[-1] if out else None),
    )


def _source_row(answers: Sequence[Labelled], by: AnswerLabel.By, filters: Filters) -> SourceRow:
    said = judged(answers, [by])
    wrong = sum(not right for _, right in said)
    return SourceRow(
        name=by.label,
        counted=by in filters.sources,
        answers=len(said),
        wrong=wrong,
        share_wrong=calibration.share(wrong, len(said)) if said else None,
    )


def _budget_row(answers: list[Labelled], seen: calibration.Numbers, budget: float) -> BudgetRow:
    verdict = budgeting.verdict_on(answers, budget)
    out = float((seen >= verdict.threshold).mean()) if len(seen) else None
    return BudgetRow(verdict, out if verdict.met else 0.0)


def _agent_rows(filters: Filters, answers: list[Labelled], seen: calibration.Numbers) -> list[AgentRow]:
    rows = []
    for agent in filters.agents:
        wanted = budgeting.budget_of(agent)
        if wanted is None or agent.status != Agent.Status.ACTIVE or (filters.agent and agent.pk != filters.agent.pk):
            continue
        own = [answer for answer in answers if answer.agent_id == agent.pk]
        config = agent.current_version.config if agent.current_version else {}
        rows.append(AgentRow(agent, config.get("escalation_threshold"), _budget_row(own, seen, wanted)))
    return rows


def _latest_confidences(filters: Filters, since: dt.datetime | None) -> list[float]:
    found = Turn.objects.for_org(filters.org).filter(confidence__isnull=False)
    if since is not None:
        found = found.filter(accepted_at__gte=since)
    if filters.agent is not None:
        found = found.filter(agent_version__agent=filters.agent)
    newest = found.order_by("-accepted_at").values_list("confidence", flat=True)[: MOST_ANSWERS + 1]
    return [confidence for confidence in newest if confidence is not None]
