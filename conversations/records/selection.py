"""Which conversations are taken away, as an address or a command says it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import QuerySet
from django.utils import timezone

from agents.models import Agent
from conversations.models import Conversation
from halo.errors import InvalidRequest, NotFound
from halo.ids import parse_uuid
from orgs.models import Organization


class Chosen(Protocol):
    """What an export needs to know of whatever chooses conversations."""

    @property
    def org(self) -> Organization: ...

    def conversations(self) -> QuerySet[Conversation]:
        """Those of the organisation that are chosen, in no order."""

    def described(self) -> dict[str, Any]:
        """The choice as the audit keeps it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One organisation; all of its agents or one; whose last message was said from one day to another."""

    org: Organization
    agent: Agent | None = None
    since: dt.date | None = None
    until: dt.date | None = None

    def conversations(self) -> QuerySet[Conversation]:
        found: QuerySet[Conversation] = Conversation.objects.for_org(self.org)
        if self.agent is not None:
            found = found.filter(agent=self.agent)
        if self.since is not None:
            found = found.filter(last_message_at__gte=_midnight(self.since))
        if self.until is not None:
            found = found.filter(last_message_at__lt=_midnight(self.until + dt.timedelta(days=1)))
        return found

    def described(self) -> dict[str, Any]:
        return {
            "agent": str(self.agent.pk) if self.agent else "",
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
        }


def read_selection(org: Organization, asked: Mapping[str, Any]) -> Selection:
    """The selection that `agent`, `since` and `until` say; raises InvalidRequest, or NotFound for a foreign agent."""
    agent = None
    if wanted := asked.get("agent", ""):
        # SECURITY: another organisation's agent and one that nobody has look the same.
        agent = Agent.objects.for_org(org).filter(pk=parse_uuid(wanted)).first()
        if agent is None:
            raise NotFound
    since, until = _date(asked.get("since", ""), "since"), _date(asked.get("until", ""), "until")
    if since is not None and until is not None and since > until:
        raise InvalidRequest("The first day is after the last one.", field="since")
    return Selection(org=org, agent=agent, since=since, until=until)


def _date(text: str, field: str) -> dt.date | None:
    if not text:
        return None
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or not 1970 <= day.year <= 9000:
        raise InvalidRequest("A day is written as 2026-11-27.", field=field)
    return day


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min, tzinfo=timezone.get_default_timezone())
