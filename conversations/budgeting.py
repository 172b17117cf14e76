"""Error budgets: what people said about answers, turned into the thresholds that agents hand over at."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

import structlog
from django.db import DatabaseError
from django.utils import timezone

from agents import budget, confidence, publishing
from agents.budget import Verdict, threshold_for
from agents.models import Agent
from conversations.labelled import Labelled, for_budget, read_labelled
from orgs.models import Organization, User

log = structlog.get_logger(__name__)
# What an agent said longer ago says little about what it says today.
SINCE = dt.timedelta(days=365)
SHIPPED = tuple(budget.read_risk(confidence.RISK))


@dataclass(frozen=True, slots=True)
class Moved:
    """A threshold that was put into force."""

    agent: Agent
    verdict: Verdict


def set_thresholds(
    *,
    now: dt.datetime | None = None,
    org: Organization | None = None,
    agent_id: uuid.UUID | None = None,
    by: User | None = None,
) -> list[Moved]:
    """Sets the threshold of every active agent with an error budget in force; of one organisation, or one agent.

    Returns those that moved. The budget is the published one: a draft's counts once it is published.
    """
    agents = Agent.objects.filter(status=Agent.Status.ACTIVE, current_version__isnull=False)
    if org is not None:
        agents = agents.filter(org=org)
    if agent_id is not None:
        agents = agents.filter(pk=agent_id)
    since = (now or timezone.now()) - SINCE
    moved = []
    for agent in agents.select_related("current_version").order_by("org_id", "created_at"):
        wanted = budget_of(agent)
        if wanted is None:
            continue
        try:
            answers = read_labelled(org=agent.org_id, agent_id=agent.pk, since=since)
            verdict = verdict_on(answers, wanted)
            note = note_of(verdict)
            if publishing.put_in_force(agent=agent, budget=wanted, threshold=verdict.threshold, note=note, by=by):
                moved.append(Moved(agent, verdict))
        except DatabaseError:
            # One organisation's trouble must not keep the others from theirs.
            log.exception("threshold_not_set", agent=str(agent.pk))
    return moved


def budget_of(agent: Agent) -> float | None:
    """The error budget of the agent's published version, if it has one."""
    return (agent.current_version.config.get("error_budget") if agent.current_version else None) or None


def verdict_on(answers: list[Labelled], wanted: float) -> Verdict:
    """What a budget comes to by these answers, with those that Halo was fitted on for what is missing."""
    return threshold_for(own=for_budget(answers), shipped=SHIPPED, budget=wanted)


def note_of(verdict: Verdict) -> str:
    """The sentence that a version carries."""
    wanted = f"Error budget {percent(verdict.budget)} %"
    if not verdict.met:
        return f"{wanted}: not shown to be kept by {verdict.source}, so every answer calls in a person"
    return f"{wanted}: threshold {verdict.threshold:.2f} from {verdict.source}"


def percent(share: float) -> str:
    """A share as a number of per cent, as short as it is exact."""
    return f"{round(share * 100, 1):g}"
