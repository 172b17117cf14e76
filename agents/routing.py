"""Routing straight to a team: the first rule of the agent that matches a message wins, before any model is asked."""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agents.conditions import Facts, cut, evidence, first_failing, phrase_pattern
from agents.models import RoutingRule
from agents.teams import TeamCard
from orgs.models import Organization

# Rules that were tried before the one that matched: so many are kept with what they failed on.
MOST_TRIED = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """An active routing rule, ready to be matched."""

    id: int
    name: str
    team: TeamCard
    acknowledgement: str
    has_priority: bool
    phrases: re.Pattern[str] | None
    conditions: tuple[dict[str, Any], ...]


def rules_of(org: Organization) -> dict[uuid.UUID, list[Rule]]:
    """The organisation's active rules by agent, each list in the order in which they are tried."""
    rows = RoutingRule.objects.for_org(org).filter(is_active=True).select_related("team")
    rules: dict[uuid.UUID, list[Rule]] = {}
    for row in rows.order_by("agent_id", "position", "id"):
        rules.setdefault(row.agent_id, []).append(
            Rule(
                id=row.pk,
                name=row.name,
                team=TeamCard.of(row.team),
                acknowledgement=row.acknowledgement,
                has_priority=row.has_priority,
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


def explain(matched: Rule, rules: Iterable[Rule], facts: Facts) -> dict[str, Any]:
    """Why `matched` won, to be kept with the turn: what held, and what the rules before it failed on."""
    phrase = matched.phrases.search(facts.message) if matched.phrases is not None else None
    why: dict[str, Any] = {"result": "routed", "rule": matched.name, "team": matched.team.name}
    if phrase is not None:
        why["phrase"] = cut(phrase.group())
    if matched.conditions:
        why["conditions"] = [evidence(condition, facts) for condition in matched.conditions]
    if facts.page.get("url"):
        why["page"] = cut(facts.page["url"])
    if matched.has_priority:
        why["priority"] = True
    before = list(itertools.takewhile(lambda rule: rule.id != matched.id, rules))
    if before:
        why["tried"] = [{"rule": rule.name, **_failed(rule, facts)} for rule in before[-MOST_TRIED:]]
    return why


def _failed(rule: Rule, facts: Facts) -> dict[str, Any]:
    """What kept `rule` from matching."""
    if rule.phrases is None and not rule.conditions:
        return {"failed": "it has neither phrases nor conditions"}
    if rule.phrases is not None and rule.phrases.search(facts.message) is None:
        return {"failed": "none of its phrases is in the message"}
    failing = first_failing(rule.conditions, facts)
    return evidence(failing, facts) if failing is not None else {}
