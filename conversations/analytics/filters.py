"""What an analytics page is asked for, as its address says it."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict

from agents.models import Agent
from conversations.labels import PRECEDENCE
from halo.errors import NotFound
from orgs.models import Organization

PERIODS = (("30", "30 days"), ("90", "90 days"), ("365", "12 months"), ("all", "All the time"))
DEFAULT_PERIOD = "90"


@dataclass(frozen=True, slots=True)
class Filters:
    """One organisation; all of its agents or one; since when; whose labels count."""

    org: Organization
    agents: tuple[Agent, ...]
    agent: Agent | None
    period: str
    sources: tuple[str, ...]

    def since(self, now: dt.datetime) -> dt.datetime | None:
        """The beginning of the period; None: there is none."""
        return None if self.period == "all" else now - dt.timedelta(days=int(self.period))

    @property
    def query(self) -> str:
        """The same filters as an address has them."""
        chosen = {"org": self.org.pk, "agent": self.agent.pk if self.agent else "", "period": self.period}
        return urlencode({**chosen, "filtered": 1, "by": self.sources}, doseq=True)


def read_filters(org: Organization, asked: QueryDict) -> Filters:
    """The filters in an address; raises NotFound where it names an agent that is not the organisation's."""
    agents = tuple(Agent.objects.for_org(org).select_related("current_version").order_by("created_at", "id"))
    wanted = asked.get("agent", "")
    agent = next((agent for agent in agents if str(agent.pk) == _canonical(wanted)), None)
    if wanted and agent is None:
        # SECURITY: another organisation's agent and one that nobody has look the same.
        raise NotFound
    period = asked.get("period", "")
    # Without the form every source counts; with it, those that are ticked.
    ticked = [by for by in PRECEDENCE if by in asked.getlist("by")] if "filtered" in asked else list(PRECEDENCE)
    return Filters(
        org=org,
        agents=agents,
        agent=agent,
        period=period if period in dict(PERIODS) else DEFAULT_PERIOD,
        sources=tuple(str(by) for by in ticked),
    )


def _canonical(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return ""
