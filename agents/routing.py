"""Routing straight to a team: the first rule of the agent that matches a message wins, before any model is asked."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agents.conditions import Facts, first_failing, phrase_pattern
from agents.models import RoutingRule
from orgs.models import Organization


@dataclass(frozen=True, slots=True)
class Rule:
    """An active routing rule, ready to be matched."""

    id: int
    name: str
    team_id: uuid.UUID
    acknowledgement: str
    phrases: re.Pattern[str] | None
    conditions: tuple[dict[str, Any], ...]


def rules_of(org: Organization) -> dict[uuid.UUID, list[Rule]]:
    """The organisation's active rules by agent, each list in the order in which they are tried."""
    rows = RoutingRule.objects.for_org(org).filter(is_active=True).order_by("agent_id", "position", "id")
    rules: dict[uuid.UUID, list[Rule]] = {}
    for row in rows:
        rules.setdefault(row.agent_id, []).append(
            Rule(
                id=row.pk,
                name=row.name,
                team_id=row.team_id,
                acknowledgement=row.acknowledgement,
                phrases=phrase_pattern(row.phrases),
                conditions=tuple(row.conditions),
            )
        )
    return rules


def first_match(rules: Iterable[Rule], facts: Facts) -> Rule | None:
    """The first rule whose phrases (any) and conditions (all) hold; a rule with neither never matches."""
    for rule in rules:
        if rule.phrases is None and not rule.conditions:
            continue
        if rule.phrases is not None and rule.phrases.search(facts.message) is None:
            continue
        if first_failing(rule.conditions, facts) is None:
            return rule
    return None
