"""Context entries, `{label, type?, value}` by key, as clients send them with messages and about people."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field

from halo.api.fields import StrictObject
from halo.errors import InvalidRequest

TYPES = ("list", "integration", "error", "status", "config", "feature", "metric", "relationship", "custom")
LABEL_LENGTH = 255

SCHEMA = {
    "type": "object",
    "nullable": True,
    "additionalProperties": {
        "type": "object",
        "properties": {
            "label": {"type": "string", "minLength": 1, "maxLength": LABEL_LENGTH},
            "type": {"type": "string", "enum": list(TYPES)},
            "value": {},
        },
        "required": ["label", "value"],
    },
}


@extend_schema_field(SCHEMA)
class ContextField(StrictObject):
    """Context entries by key: `{label, type?, value}`. `removable`: null takes a stored entry away."""

    def __init__(self, *, removable: bool = False, **kwargs: Any) -> None:
        self.removable = removable
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return check_entries(super().to_internal_value(data), removable=self.removable)


def check_entries(entries: dict[str, Any], *, removable: bool = False, where: str = "context") -> dict[str, Any]:
    """`entries` if each is one; raises InvalidRequest that names the first that is not."""
    for key, entry in entries.items():
        problem = "" if entry is None and removable else _problem_of(entry)
        if problem:
            raise InvalidRequest(f"{where}: the entry {key[:100]!r} {problem}", field="context")
    return entries


def _problem_of(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "must be an object"
    label, kind = entry.get("label"), entry.get("type")
    if not isinstance(label, str) or not label.strip() or len(label) > LABEL_LENGTH:
        return f"needs a label of 1 to {LABEL_LENGTH} characters"
    if kind not in (None, "") and kind not in TYPES:
        return f"has a type that is not one of {', '.join(TYPES)}"
    return "" if "value" in entry else "has no value"
