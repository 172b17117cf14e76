"""Conditions that staff write, and the facts about a message that they are held against."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from halo.errors import InvalidRequest

SOURCES = ("message", "user", "company", "context", "page", "request")
OPERATORS = ("is", "is_not", "contains", "exists", "missing", "gt", "lt")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at; each source is a flat look-up by key."""

    message: str
    user: dict[str, Any] = field(default_factory=dict)
    company: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    page: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)


def first_failing(conditions: Iterable[dict[str, Any]], facts: Facts) -> dict[str, Any] | None:
    """The first condition that does not hold; None where all do."""
    return next((condition for condition in conditions if not holds(condition, facts)), None)


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


def phrase_pattern(phrases: str) -> re.Pattern[str] | None:
    """Any of the lines as whole words, without regard to case; None where there is no line."""
    lines = [line.strip() for line in phrases.splitlines() if line.strip()]
    if not lines:
        return None
    # Whole words, but a phrase may begin or end with a sign, as in "C++" or "#refund".
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, lines)) + r")(?!\w)", re.IGNORECASE)


def holds(condition: dict[str, Any], facts: Facts) -> bool:
    """Whether one condition holds; what is missing holds only for `missing` and `is_not`."""
    actual = _value_of(condition, facts)
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


def _value_of(condition: dict[str, Any], facts: Facts) -> Any:
    source = condition["source"]
    if source == "message":
        return facts.message
    actual = getattr(facts, source).get(condition["key"], _MISSING)
    if source == "context" and isinstance(actual, dict):
        return actual.get("value", _MISSING)
    return actual
