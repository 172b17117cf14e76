"""Why a message went to people, or did not, in sentences: what a turn's `explanation` says to staff."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agents import escalation
from conversations.models import Turn

MODES = {
    escalation.OFF: "The agent never hands over by itself.",
    escalation.ALWAYS: "The agent hands over at any sign.",
    escalation.CONDITIONAL: "The agent hands over after some answers.",
}
SIGNS = {
    escalation.VISITOR: "The visitor asked for a person",
    "agent": "The agent asked for a person",
    "phrase": "A phrase",
    "failure": "No answer came about",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A headline with what speaks for it; `quiet` where nobody was called in."""

    headline: str
    lines: list[str]
    quiet: bool = False


def explain(turn: Turn) -> Explanation | None:
    """What is to be said under `turn`; None where nothing spoke for people."""
    why = turn.explanation
    if not isinstance(why, dict) or not why.get("result"):
        return None
    if why["result"] == "routed":
        return Explanation(f"Why this went to {why.get('team') or 'people'}", list(_routed(why)))
    if why["result"] == escalation.HANDED_OVER:
        return Explanation(f"Why this went to {why.get('team') or 'people'}", list(_handed_over(why)))
    if not why.get("signs"):
        return None
    return Explanation(f"No handover: {_blocked(why)}", [_sign(sign) for sign in _rows(why, "signs")], quiet=True)


def _routed(why: dict[str, Any]) -> Iterator[str]:
    yield f"Rule “{why.get('rule')}” matched before any model was asked."
    if why.get("phrase"):
        yield f"The message says “{why['phrase']}”."
    for condition in _rows(why, "conditions"):
        yield f"It holds that {_with_actual(condition)}."
    yield from _circumstances(why)
    if why.get("priority"):
        yield "The rule makes its tickets priority ones."
    for rule in _rows(why, "tried"):
        failed = f"not so: {_with_actual(rule)}" if rule.get("condition") else rule.get("failed")
        yield f"Tried before it: rule “{rule.get('rule')}”, but {failed}."


def _handed_over(why: dict[str, Any]) -> Iterator[str]:
    signs = _rows(why, "signs")
    # What decided comes first: it is the strongest.
    for number, sign in enumerate(signs):
        yield _sign(sign) if number == 0 else f"Also: {_sign(sign)}"
    mode = why.get("mode")
    if why.get("by") == escalation.VISITOR:
        yield "Who asks for a person gets one."
    elif "attempts" in why:
        yield f"This was answer {why['attempts']}; signs count from answer {why.get('attempts_needed')} on."
    elif mode in MODES:
        yield MODES[mode]
    if isinstance(why.get("priority"), list):
        yield f"With priority, as {' and '.join(map(str, why['priority']))}."
    yield from _circumstances(why)


def _circumstances(why: dict[str, Any]) -> Iterator[str]:
    if why.get("page"):
        yield f"On the page {why['page']}"
    if why.get("away"):
        yield f"The team was away. The visitor was told: “{why['away']}”"
    if why.get("ticket"):
        yield f"Ticket #{why['ticket']}"


def _blocked(why: dict[str, Any]) -> str:
    return f"{why['result']}, as not: {_with_actual(why)}" if why.get("condition") else str(why["result"])


def _with_actual(row: dict[str, Any]) -> str:
    """Such as “user plan is “gold” (it is “silver”)”."""
    return f"{row.get('condition')} (it is “{row['actual']}”)" if "actual" in row else str(row.get("condition"))


def _sign(sign: dict[str, Any]) -> str:
    reason = str(sign.get("reason", ""))
    label = SIGNS.get(sign.get("sign", ""))
    if label is None:
        return reason
    return f"{label}." if reason == escalation.VISITOR_ASKS else f"{label}: {reason}"


def _rows(why: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = why.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
