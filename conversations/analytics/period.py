"""What a page of numbers is asked for: a bounded period, and all agents or one."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass

from django.http import QueryDict

from agents.models import Agent
from conversations.analytics.counting import whole_hour
from halo.errors import NotFound
from orgs.models import Organization

PERIODS = (("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "12 months"))
DEFAULT = "30"


@dataclass(frozen=True, slots=True)
class Asked:
    """One organisation, whole hours from `since` to `until`, and an agent or none."""

    org: Organization
    agents: tuple[Agent, ...]
    agent: Agent | None
    period: str
    since: dt.datetime
    until: dt.datetime

    @property
    def agent_id(self) -> uuid.UUID | None:
        return self.agent.pk if self.agent else None

    @property
    def days(self) -> list[dt.date]:
        """The days that the period touches, in UTC."""
        first = self.since.astimezone(dt.UTC).date()
        return [first + dt.timedelta(days=n) for n in range(int(self.period) + 1)]


def read_asked(org: Organization, asked: QueryDict, *, now: dt.datetime) -> Asked:
    """The filters in an address; raises NotFound where it names an agent that is not the organisation's."""
    agents = tuple(Agent.objects.for_org(org).order_by("created_at", "id"))
    wanted = asked.get("agent", "")
    agent = next((agent for agent in agents if str(agent.pk) == wanted), None)
    if wanted and agent is None:
        # SECURITY: another organisation's agent and one that nobody has look the same.
        raise NotFound
    period = asked.get("period", "")
    period = period if period in dict(PERIODS) else DEFAULT
    until = whole_hour(now)
    return Asked(org, agents, agent, period, until - dt.timedelta(days=int(period)), until)
