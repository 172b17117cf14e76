"""A form field for conditions, in rows that people can fill in: what to look at, how, and for what."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import BASE_INPUT_CLASSES, SELECT_CLASSES

from agents.conditions import MOST_CONDITIONS, OPERATORS, SOURCES, UNARY, check_conditions, describe
from halo.api.strict_json import storable_tree
from halo.errors import HaloError

PARTS = ("source", "key", "op", "value")
BLANK_ROWS = 3
HELP = (
    "All must hold. User, company and context: any key that your site sends. Page: url, host, path, title. Request: "
    "mode, verified, user_id, company_id. “Is one of” takes values with commas between them; in “matches”, * stands "
    "for anything and ? for one character."
)


def as_list(conditions: Any) -> str | SafeString:
    """Conditions as those read them who may not change them."""
    if not conditions:
        return "—"
    listed = format_html_join("", "<li>{}</li>", ((describe(row),) for row in conditions if isinstance(row, dict)))
    return format_html('<ul class="halo-list">{}</ul>', listed)


class ConditionsWidget(forms.Widget):
    """A row a condition, with some blank ones; a script adds and removes rows where there are scripts."""

    class Media:
        js = ("halo/conditions.js",)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        rows = value if isinstance(value, list) else []
        blanks = min(BLANK_ROWS, max(MOST_CONDITIONS - len(rows), 0))
        context = {
            "name": name,
            "rows": [_shown(row) for row in rows] + [_shown({}) for _ in range(blanks)],
            "blank": _shown({}),
            "most": MOST_CONDITIONS,
            "input": " ".join(BASE_INPUT_CLASSES),
            "select": " ".join(cls for cls in SELECT_CLASSES if not cls.startswith("max-w")),
        }
        return render_to_string("admin/halo/conditions.html", context)

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[dict[str, str]]:
        count = str(data.get(f"{name}-rows") or "")
        found = []
        # One row more than may be, so that too many are refused and not cut.
        for number in range(min(int(count), MOST_CONDITIONS * 4) if count.isdecimal() and len(count) < 6 else 0):
            row = {part: str(data.get(f"{name}-{number}-{part}") or "").strip() for part in PARTS}
            # An operator is always chosen, so it says nothing.
            if row["source"] or row["key"] or row["value"]:
                found.append(row)
        return found

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return f"{name}-rows" not in data

    def id_for_label(self, id_: str) -> str:
        return f"{id_}-0-source" if id_ else ""


class ConditionsField(forms.Field):
    """A list of conditions, as agents.conditions checks them; no row: none."""

    widget = ConditionsWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "help_text": HELP, **kwargs})

    def to_python(self, value: Any) -> list[dict[str, Any]]:
        return storable_tree([_read(row) for row in value or []])

    def validate(self, value: Any) -> None:
        super().validate(value)
        try:
            check_conditions(value)
        except HaloError as error:
            raise ValidationError(error.message) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        before = [_shown(row) for row in initial or [] if isinstance(row, dict)]
        return before != [_shown(row) for row in self.to_python(data)]


def _read(row: Mapping[str, Any]) -> dict[str, Any]:
    """The condition in a row that was filled in; `check_conditions` says what is wrong with it."""
    condition: dict[str, Any] = {"source": row["source"], "op": row["op"] or "is"}
    if condition["source"] != "message":
        condition["key"] = row["key"]
    if condition["op"] == "in":
        cells = next(csv.reader([row["value"]], skipinitialspace=True), [])
        condition["value"] = [_typed(cell.strip()) for cell in cells if cell.strip()]
    elif condition["op"] not in UNARY:
        condition["value"] = _typed(row["value"])
    return condition


def _typed(text: str) -> Any:
    """A number or truth value where the text is exactly how one is written; "007" and "1e3" stay what they are."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            if str(kind(text)) == text and math.isfinite(kind(text)):
                return kind(text)
        except (ValueError, OverflowError):
            continue
    return text


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields of a row hold, from a condition or from what was typed."""
    source, op, value = (row.get(part, "") for part in ("source", "op", "value"))
    return {
        "source": source,
        "key": row.get("key", ""),
        "op": op or "is",
        "value": _text(value),
        "sources": [("", "…"), *((name, name.capitalize()) for name in SOURCES)],
        # What a newer release wrote is shown, and not changed into something else.
        "ops": [*OPERATORS.items(), *([(op, op)] if op and op not in OPERATORS else [])],
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([_text(item) for item in value])
        return line.getvalue().replace(",", ", ") if '"' not in line.getvalue() else line.getvalue()
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
