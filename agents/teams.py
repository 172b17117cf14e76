"""Teams as the chat path needs them: plain data, kept per configuration version."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any

from orgs.caching import per_version
from orgs.hours import Away, away
from orgs.models import Organization, Team


@dataclass(frozen=True, slots=True)
class TeamCard:
    """A team's name, and when it is there."""

    id: uuid.UUID
    name: str
    time_zone: str = "UTC"
    hours: dict[str, Any] = field(default_factory=dict)
    away_text: str = ""

    @classmethod
    def of(cls, team: Team) -> TeamCard:
        """What is remembered of `team`."""
        return cls(
            id=team.pk, name=team.name, time_zone=team.time_zone, hours=team.hours or {}, away_text=team.away_text
        )

    def away(self, *, now: dt.datetime) -> Away | None:
        """What to tell a visitor at `now`; None while the team is there."""
        return away(self, now=now)


def find_team(org: Organization, team_id: str) -> TeamCard | None:
    """The organisation's team of that id; None where there is none, as when it was removed since."""
    if not team_id:
        return None
    cards = per_version(org.pk, org.config_version, "teams", lambda: _cards(org))
    return cards.get(team_id)


def _cards(org: Organization) -> dict[str, TeamCard]:
    return {str(team.pk): TeamCard.of(team) for team in Team.objects.for_org(org)}
