"""Conditions that staff write, and the facts about a message that they are held against."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from halo.errors import InvalidRequest

SOURCES = ("message", "user", "company", "context", "page", "request")
OPERATORS = {
    "is": "is",
    "is_not": "is not",
    "in": "is one of",
    "contains": "contains",
    "starts_with": "starts with",
    "matches": "matches",
    "gt": "is more than",
    "lt": "is less than",
    "exists": "is there",
    "missing": "is missing",
}
UNARY = ("exists", "missing")
MOST_CONDITIONS, MOST_VALUES = 30, 50
LONGEST_KEY, LONGEST_VALUE = 200, 1000
SHOWN = 120
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at; each source is a flat look-up by key."""

    message: str
    # Where several messages are answered together: each of them, `message` being all in one.
    messages: tuple[str, ...] = ()
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
    if len(value) > MOST_CONDITIONS:
        raise InvalidRequest(f"At most {MOST_CONDITIONS} conditions.")
    for number, condition in enumerate(value, 1):
        wrong = _wrong_with(condition)
        if wrong:
            raise InvalidRequest(f"Condition {number}{wrong}")
    return value


def _wrong_with(condition: Any) -> str:
    """The rest of a sentence; empty where nothing is wrong."""
    if not isinstance(condition, dict):
        return " is not an object."
    source, key, op, value = (condition.get(name) for name in ("source", "key", "op", "value"))
    if source not in SOURCES:
        return f": source is one of {', '.join(SOURCES)}."
    if not isinstance(op, str) or op not in OPERATORS:
        return f": op is one of {', '.join(OPERATORS)}."
    if source != "message" and not (isinstance(key, str) and key.strip()):
        return f": key is missing. Which of the {source}’s values is it about?"
    if len(str(key or "")) > LONGEST_KEY:
        return f": the key is longer than {LONGEST_KEY} characters."
    if op in UNARY:
        return ""
    if value is None or value in ("", []):
        return ": value is missing."
    values = value if isinstance(value, list) else [value]
    if isinstance(value, list) != (op == "in"):
        return ": “is one of” takes a list, and nothing else does."
    if len(values) > MOST_VALUES or not all(isinstance(item, (str, int, float)) for item in values):
        return f": the value is a text, a number, or a list of at most {MOST_VALUES} of them."
    if any(len(str(item)) > LONGEST_VALUE for item in values):
        return f": the value is longer than {LONGEST_VALUE} characters."
    if op in ("gt", "lt") and _number(value) is None:
        return f": {op} needs a number."
    return ""


def describe(condition: dict[str, Any]) -> str:
    """The condition as people say it, such as “user plan is “enterprise””."""
    source, op, value = condition.get("source", "?"), condition.get("op", "?"), condition.get("value")
    subject = source if source == "message" else f"{source} {condition.get('key', '?')}"
    if op in UNARY:
        return f"{subject} {OPERATORS[op]}"
    values = value if isinstance(value, list) else [value]
    return f"{subject} {OPERATORS.get(str(op), op)} {', '.join(map(_quoted, values))}"


def _quoted(value: Any) -> str:
    return cut(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else f"“{cut(value)}”"


def evidence(condition: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """The condition with what it was held against, both short enough to keep; `actual` is absent where nothing was."""
    actual = None if condition.get("source") == "message" else _value_of(condition, facts)
    known = {} if actual is _MISSING or actual in (None, "") else {"actual": cut(actual)}
    return {"condition": describe(condition), **known}


def cut(value: Any) -> str:
    """`value` as a line of text that fits on a page."""
    text = " ".join((", ".join(map(_text, value)) if isinstance(value, list) else _text(value)).split())
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def phrase_pattern(phrases: str) -> re.Pattern[str] | None:
    """Any of the lines as whole words, without regard to case; None where there is no line."""
    lines = [line.strip() for line in phrases.splitlines() if line.strip()]
    if not lines:
        return None
    # Whole words, but a phrase may begin or end with a sign, as in "C++" or "#refund".
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, lines)) + r")(?!\w)", re.IGNORECASE)


def holds(condition: dict[str, Any], facts: Facts) -> bool:
    """Whether one condition holds; what is missing holds only for `missing` and `is_not`.

    Of several messages it is enough that it holds for one. An operator or source of a newer release, which may run
    beside this one, never holds.
    """
    operator, wanted = condition.get("op"), condition.get("value")
    if not isinstance(operator, str) or operator not in OPERATORS or condition.get("source") not in SOURCES:
        return False
    if condition["source"] == "message" and facts.messages:
        return any(holds(condition, Facts(message=message)) for message in facts.messages)
    actual = _value_of(condition, facts)
    missing = actual is _MISSING or actual in (None, "")
    if operator in UNARY:
        return missing == (operator == "missing")
    if missing:
        return operator == "is_not"
    if operator in ("gt", "lt"):
        left, right = _number(actual), _number(wanted)
        return left is not None and right is not None and (left > right if operator == "gt" else left < right)
    if operator in ("is", "is_not"):
        return (_folded(actual) == _folded(wanted)) == (operator == "is")
    if operator == "in":
        listed = {_folded(item) for item in wanted} if isinstance(wanted, list) else {_folded(wanted)}
        return any(_folded(item) in listed for item in (actual if isinstance(actual, list) else [actual]))
    if operator == "contains":
        if isinstance(actual, list):
            return any(_folded(item) == _folded(wanted) for item in actual)
        return _folded(wanted) in _folded(actual)
    if operator == "starts_with":
        return _folded(actual).startswith(_folded(wanted))
    return _matches(_folded(wanted), _folded(actual))


def _matches(pattern: str, text: str) -> bool:
    """Whether all of `text` fits `pattern`, where * is any run of characters and ? is one.

    Each piece between stars is taken where it fits first, so the time is that of a search, whatever staff write.
    """
    first, *rest = (re.compile(re.escape(piece).replace(r"\?", "."), re.DOTALL) for piece in pattern.split("*"))
    if not rest:
        return first.fullmatch(text) is not None
    begins = first.match(text)
    if begins is None:
        return False
    at = begins.end()
    *middle, last = rest
    for piece in middle:
        found = piece.search(text, at)
        if found is None:
            return False
        at = found.end()
    length = len(pattern.rpartition("*")[2])
    return len(text) - length >= at and last.fullmatch(text, len(text) - length) is not None


def _folded(value: Any) -> str:
    return _text(value).casefold().strip()


def _text(value: Any) -> str:
    """5, 5.0 and "5" are one text, and so are True and "true": forms and sites write the same thing differently."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _value_of(condition: dict[str, Any], facts: Facts) -> Any:
    source = condition.get("source")
    if source == "message":
        return facts.message
    if source not in SOURCES:
        return _MISSING
    actual = getattr(facts, source).get(condition.get("key"), _MISSING)
    if source == "context" and isinstance(actual, dict):
        return actual.get("value", _MISSING)
    return actual
