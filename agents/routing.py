"""Routing straight to a team: the first rule of the agent that matches a message wins, before any model is asked."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agents.models import RoutingRule
from halo.errors import InvalidRequest
from orgs.models import Organization

SOURCES = ("message", "user", "company", "context", "request")
OPERATORS = ("is", "is_not", "contains", "exists", "missing", "gt", "lt")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at; each source is a flat look-up by key."""

    message: str
    user: dict[str, Any] = field(default_factory=dict)
    company: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)


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
                phrases=_pattern(row.phrases),
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
        if all(_holds(condition, facts) for condition in rule.conditions):
            return rule
    return None


def check_conditions(value: Any) -> list[dict[str, Any]]:
    """`value` if it is a well-formed list of conditions; a sentence in InvalidRequest says what is not."""
    if not isinstance(value, list):
        raise InvalidRequest("Conditions are a list.")
    for number, condition in enumerate(value, 1):
        if not isinstance(condition, dict):
            raise InvalidRequest(f"Condition {number} is not an object.")
        if condition.get("source") not in SOURCES:
            raise InvalidRequest(f"Condition {number}: source is one of {', '.join(SOURCES)}.")
        if condition.get("op") not in OPERATORS:
            raise InvalidRequest(f"Condition {number}: op is one of {', '.join(OPERATORS)}.")
        if condition["source"] != "message" and not isinstance(condition.get("key"), str):
            raise InvalidRequest(f"Condition {number}: key is missing.")
        if condition["op"] not in ("exists", "missing") and "value" not in condition:
            raise InvalidRequest(f"Condition {number}: value is missing.")
        if condition["op"] in ("gt", "lt") and _number(condition.get("value")) is None:
            raise InvalidRequest(f"Condition {number}: {condition['op']} needs a number.")
    return value


def _pattern(phrases: str) -> re.Pattern[str] | None:
    lines = [line.strip() for line in phrases.splitlines() if line.strip()]
    if not lines:
        return None
    # Whole words, but a phrase may begin or end with a sign, as in "C++" or "#refund".
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, lines)) + r")(?!\w)", re.IGNORECASE)


def _holds(condition: dict[str, Any], facts: Facts) -> bool:
    source = condition["source"]
    if source == "message":
        actual: Any = facts.message
    else:
        actual = getattr(facts, source).get(condition["key"], _MISSING)
        if source == "context" and isinstance(actual, dict):
            actual = actual.get("value", _MISSING)
    operator, wanted = condition["op"], condition.get("value")
    missing = actual is _MISSING or actual in (None, "")
    if operator in ("exists", "missing"):
        return missing == (operator == "missing")
    if missing:
        return operator == "is_not"
    if operator in ("is", "is_not"):
        return (_folded(actual) == _folded(wanted)) == (operator == "is")
    if operator == "contains":
        if isinstance(actual, list):
            return any(_folded(item) == _folded(wanted) for item in actual)
        return str(_folded(wanted)) in str(_folded(actual))
    left, right = _number(actual), _number(wanted)
    if left is None or right is None:
        return False
    return left > right if operator == "gt" else left < right


def _folded(value: Any) -> Any:
    return value.casefold().strip() if isinstance(value, str) else value


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
