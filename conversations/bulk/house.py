"""With whom made-up conversations are: what there is of an organisation, and the people that are made up for it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from agents.models import Agent, AgentVersion, RoutingRule
from conversations.bulk.importing import NoAgent
from conversations.bulk.phrases import Tongue
from orgs.models import Membership, Organization, Team


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up end user."""

    id: uuid.UUID
    name: str
    external_id: str
    company: uuid.UUID | None
    plan: str
    tongue: Tongue


@dataclass(slots=True)
class House:
    """What of the organisation the conversations are with: agents with their versions, rules, teams, people."""

    org: Organization
    agents: list[tuple[uuid.UUID, list[int]]]
    # With the rule's agent, its team, and both names.
    rules: list[tuple[int, uuid.UUID, uuid.UUID, str, str]]
    teams: list[tuple[uuid.UUID, str]]
    staff: list[uuid.UUID]
    people: list[Person] = field(default_factory=list)
    companies: list[tuple[uuid.UUID, str]] = field(default_factory=list)


def find_house(org: Organization) -> House:
    """Reads what there is; raises NoAgent where nobody could have answered."""
    versions: dict[uuid.UUID, list[int]] = {}
    rows = AgentVersion.objects.for_org(org).order_by("agent__created_at", "number").values_list("agent_id", "pk")
    for agent, version in rows:
        versions.setdefault(agent, []).append(version)
    if not versions:
        raise NoAgent
    default = Agent.objects.for_org(org).filter(is_default=True).values_list("pk", flat=True).first()
    rules = RoutingRule.objects.for_org(org).order_by("pk")
    return House(
        org=org,
        agents=sorted(versions.items(), key=lambda entry: entry[0] != default),
        rules=list(rules.values_list("pk", "agent_id", "team_id", "name", "team__name")),
        teams=list(Team.objects.for_org(org).order_by("name").values_list("pk", "name")),
        staff=list(
            Membership.objects.for_org(org)
            .exclude(role=Membership.Role.ANALYST)
            .order_by("pk")
            .values_list("user_id", flat=True)[:50]
        ),
    )
