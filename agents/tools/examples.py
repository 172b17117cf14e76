"""An example of a tool's arguments, made from its schema: for people to begin with."""

from __future__ import annotations

import math
import re
import string
from typing import Any

from agents.tools.schemas import QUANTIFIED

_BY_FORMAT = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "jane@example.com",
    "uri": "https://www.example.com/",
    "uuid": "0190c8a0-0000-7000-8000-000000000000",
}
# Tried in this order, so that what comes out is easy on the eye.
_CHARACTERS = string.ascii_uppercase + string.digits + string.ascii_lowercase + string.punctuation + " "
MOST = 50  # of what repeats


def example_of(schema: dict[str, Any]) -> Any:
    """A value that looks like what `schema` asks for; what it leaves out is left out. It need not fit in every case."""
    for key in ("examples", "enum"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    kinds = schema.get("type", "string")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: example_of(properties[name]) for name in properties if name in schema.get("required", [])}
    if kind == "array":
        item = schema.get("items")
        return [example_of(item if isinstance(item, dict) else {})] * min(schema.get("minItems", 1) or 1, MOST)
    if kind in ("integer", "number"):
        return _number(schema)
    return {"boolean": True, "null": None}.get(kind, "") if kind != "string" else _text(schema)


def _number(schema: dict[str, Any]) -> float:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else None)
    most = schema.get("maximum", schema.get("exclusiveMaximum", 2) - 1 if "exclusiveMaximum" in schema else None)
    value = least if least is not None else min(1, most) if most is not None else 1
    step = schema.get("multipleOf")
    if step:
        value = math.ceil(value / step) * step
    return math.ceil(value) if schema.get("type") == "integer" else value


def _text(schema: dict[str, Any]) -> str:
    if "pattern" in schema:
        return _matching(schema["pattern"])
    text = _BY_FORMAT.get(schema.get("format", ""), "example")
    return text.ljust(min(schema.get("minLength", 0), 200), "x")[: schema.get("maxLength", 200)]


def _matching(pattern: str) -> str:
    """A text for a pattern that passed `check_schema`: a chain of characters and classes with quantifiers."""
    text = ""
    for found in QUANTIFIED.finditer(pattern[1:-1]):
        quantifier = found[1] or ""
        atom = found[0].removesuffix(quantifier)
        character = next((one for one in _CHARACTERS if re.fullmatch(atom, one)), "")
        least = quantifier.strip("{}").partition(",")[0]
        text += character * (min(int(least), MOST) if least.isdigit() else 1)
    return text
