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


@functools.lru_cache(maxsize=4096)
def config_of(version_id: int) -> AgentConfig:
    """The configuration of a published version; versions are insert-only, so it is kept for ever."""
    # The id comes from a turn of ours, never from outside.
    return AgentConfig.from_json(AgentVersion.objects.values_list("config", flat=True).get(pk=version_id))


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
