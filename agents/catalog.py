"""Which agent answers: the organisation's active agents as plain data, kept per configuration version."""

from __future__ import annotations

import functools
import uuid
from dataclasses import dataclass

from agents.config import AgentConfig
from agents.models import Agent, AgentVersion
from agents.routing import Rule, rules_of
from halo.errors import NotFound
from orgs.caching import per_version
from orgs.models import Organization


@dataclass(frozen=True, slots=True)
class AgentCard:
    """An active agent as the chat path needs it."""

    id: uuid.UUID
    is_default: bool
    version_id: int
    config: AgentConfig
    rules: tuple[Rule, ...]


def choose(org: Organization, agent_id: str) -> AgentCard:
    """The pinned agent, else the active one, else the oldest active one; NotFound where there is none."""
    cards = per_version(org.pk, org.config_version, "agents", lambda: _cards(org))
    if agent_id:
        # Unknown, paused and another organisation's are the same answer.
        card = next((card for card in cards if str(card.id) == agent_id.lower()), None)
    else:
        card = next((card for card in cards if card.is_default), cards[0] if cards else None)
    if card is None:
        raise NotFound("There is no such active agent." if agent_id else "The organisation has no active agent.")
    return card


def config_of(version_id: int) -> AgentConfig:
    """The configuration of a published version."""
    return _published(version_id)[1]


def version_of(version_id: int, *, org: Organization) -> AgentVersion:
    """The published version with its agent, shared and only to be read; but for its id and agent nothing is loaded."""
    agent_id = _published(version_id)[0]
    agent = per_version(
        org.pk, org.config_version, f"agent {agent_id}", lambda: Agent.objects.for_org(org).get(pk=agent_id)
    )
    return AgentVersion(pk=version_id, agent=agent)


@functools.lru_cache(maxsize=4096)
def _published(version_id: int) -> tuple[uuid.UUID, AgentConfig]:
    """Agent and configuration of a version; versions are insert-only, so they are kept for ever."""
    # The id comes from a turn of ours, never from outside.
    agent_id, config = AgentVersion.objects.values_list("agent_id", "config").get(pk=version_id)
    return agent_id, AgentConfig.from_json(config)


def _cards(org: Organization) -> list[AgentCard]:
    agents = (
        Agent.objects.for_org(org)
        .filter(status=Agent.Status.ACTIVE, current_version__isnull=False)
        .select_related("current_version")
        .order_by("created_at", "id")
    )
    rules = rules_of(org)
    return [
        AgentCard(
            id=agent.pk,
            is_default=agent.is_default,
            version_id=agent.current_version.pk,
            config=AgentConfig.from_json(agent.current_version.config),
            rules=tuple(rules.get(agent.pk, ())),
        )
        for agent in agents
        if agent.current_version is not None
    ]
