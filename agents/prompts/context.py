"""Context entries as the model reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.prompts.values import humanised, one_line, quoted

_PRIMARY = ("label", "name", "title")
_RAISE = "(Raise these problems with the visitor without being asked.)"


def render_context(entries: Mapping[str, Any]) -> str:
    """All entries, each a header and its lines, set apart by blank lines; empty where there are none."""
    return "\n\n".join(_entry(entry) for entry in entries.values() if isinstance(entry, dict))


def _entry(entry: dict[str, Any]) -> str:
    label, kind, value = one_line(entry.get("label") or "Context"), entry.get("type"), entry.get("value")
    lines = [f"[{label}] ({kind})" if kind else f"[{label}]"]
    if kind == "list" and isinstance(value, list):
        lines += [_item(item) for item in value]
    elif kind == "integration" and isinstance(value, dict):
        lines += [_integration(service, state) for service, state in value.items()]
    elif kind == "error":
        lines += [*_errors(label, value), _RAISE]
    else:
        lines += _by_value(value)
    return "\n".join(lines)


def _item(item: Any) -> str:
    """`- "<primary>" (<key>: <value>, ...) -- <status>`, parts that are missing left out."""
    if not isinstance(item, dict):
        return f"- {quoted(item)}" if isinstance(item, str) else f"- {one_line(item)}"
    primary = next((key for key in _PRIMARY if item.get(key) not in (None, "")), None)
    parts = [quoted(item[primary])] if primary else []
    rest = {key: value for key, value in item.items() if key not in (primary, "status") and value not in (None, "")}
    if rest:
        parts.append("(" + ", ".join(f"{one_line(key)}: {one_line(value)}" for key, value in rest.items()) + ")")
    if item.get("status") not in (None, ""):
        parts.append(f"-- {one_line(item['status'])}")
    return "- " + " ".join(parts)


def _integration(service: str, state: Any) -> str:
    name = humanised(service)
    if not isinstance(state, dict):
        known = state not in (None, "")
        connected, status, error = (state, None, None) if isinstance(state, bool) else (known, state, None)
    else:
        status, error = state.get("status"), state.get("error")
        connected = state.get("connected", status not in (None, "", "disconnected", "not_connected"))
    failed = bool(error) or status == "error"
    parts = ["connected" if connected else "not connected"]
    if failed:
        text = error if isinstance(error, (str, dict, list)) and error else None
        if text is None and isinstance(state, dict):
            text = state.get("message")
        parts.append(f"ERROR -- {one_line(text)}" if text else "ERROR")
    elif connected and status not in (None, ""):
        parts.append(one_line(status))
    return f"- {name}: {', '.join(parts)}"


def _errors(label: str, value: Any) -> list[str]:
    """One line per problem: `- ERROR <area>: <message>`."""
    if isinstance(value, list):
        return [line for item in value for line in _errors(label, item)]
    if not isinstance(value, dict):
        return [f"- ERROR {label}: {one_line(value)}"]
    message = value.get("message") or value.get("error") or value.get("description")
    if message:
        area = next((value[key] for key in ("area", *_PRIMARY, "code") if value.get(key)), label)
        return [f"- ERROR {one_line(area)}: {one_line(message)}"]
    return [
        f"- ERROR {one_line(area)}: "
        + one_line(problem.get("message") or problem.get("error") or problem if isinstance(problem, dict) else problem)
        for area, problem in value.items()
    ]


def _by_value(value: Any) -> list[str]:
    if isinstance(value, list):
        return [_item(item) if isinstance(item, dict) else f"- {one_line(item)}" for item in value]
    if isinstance(value, dict):
        return [f"- {humanised(key)}: {one_line(item)}" for key, item in value.items()]
    return [one_line(value)]
