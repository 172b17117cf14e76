"""What conditions hold for, how they read, and what is refused when staff write them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agents.conditions import OPERATORS, Facts, check_conditions, describe, evidence, holds
from halo.errors import InvalidRequest

FACTS = Facts(
    message="Hello there",
    user={"plan": "Gold", "seats": 12, "tags": ["beta", "vip"], "trial": True, "note": ""},
    page={"url": "https://acme.example/Billing/invoices?id=1", "host": "acme.example", "path": "/Billing/invoices"},
)


def condition(source: str, op: str, value: Any = None, key: str = "") -> dict[str, Any]:
    return {"source": source, "key": key, "op": op, "value": value}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (condition("page", "starts_with", "/billing", "path"), True),
        (condition("page", "starts_with", "billing", "path"), False),
        (condition("page", "matches", "/billing/*", "path"), True),
        (condition("page", "matches", "/billing", "path"), False),
        (condition("page", "matches", "*acme.*/??voices", "path"), False),
        (condition("page", "matches", "*/??voices", "path"), True),
        (condition("page", "matches", "https://*.example/*id=?", "url"), True),
        (condition("page", "matches", "*", "path"), True),
        (condition("page", "matches", "*", "title"), False),
        (condition("page", "matches", "*invoices*invoices", "path"), False),
        (condition("page", "matches", "[/]*", "path"), False),
        (condition("message", "matches", "hello*"), True),
        (condition("message", "starts_with", "HELLO"), True),
        (condition("user", "in", ["silver", "gold"], "plan"), True),
        (condition("user", "in", ["silver"], "plan"), False),
        (condition("user", "in", ["12"], "seats"), True),
        (condition("user", "in", ["vip"], "tags"), True),
        (condition("user", "in", ["vip"], "absent"), False),
        (condition("user", "is", "12", "seats"), True),
        (condition("user", "is", 12.0, "seats"), True),
        (condition("user", "is", "true", "trial"), True),
        (condition("user", "is", 1, "trial"), False),
        (condition("user", "contains", 2, "seats"), True),
        (condition("user", "exists", key="note"), False),
        (condition("user", "is_not", "gold", "absent"), True),
        # A newer release, running beside this one, may know more.
        (condition("user", "sounds_like", "gold", "plan"), False),
        (condition("moon", "is", "full", "phase"), False),
        ({}, False),
    ],
)
def test_what_a_condition_holds_for(given: dict[str, Any], expected: bool) -> None:
    assert holds(given, FACTS) is expected


def test_no_pattern_takes_long() -> None:
    began = time.monotonic()
    for pattern in ("*a" * 499, "?*" * 499 + "b", "*" * 1000, "a*" * 400 + "?b"):
        holds(condition("message", "matches", pattern), Facts(message="a" * 20_000))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (condition("user", "is", "enterprise", "plan"), "user plan is “enterprise”"),
        (condition("page", "contains", "/billing", "path"), "page path contains “/billing”"),
        (condition("message", "contains", "refund"), "message contains “refund”"),
        (condition("context", "missing", key="cart"), "context cart is missing"),
        (condition("company", "gt", 1000.0, "mrr"), "company mrr is more than 1000"),
        (condition("user", "in", ["a", "b"], "plan"), "user plan is one of “a”, “b”"),
        (condition("user", "sounds_like", "x", "plan"), "user plan sounds_like “x”"),
    ],
)
def test_conditions_read_like_sentences(given: dict[str, Any], words: str) -> None:
    assert describe(given) == words


def test_evidence_is_short_and_says_what_was_there() -> None:
    assert evidence(condition("user", "is", "x", "plan"), FACTS) == {"condition": "user plan is “x”", "actual": "Gold"}
    assert "actual" not in evidence(condition("user", "is", "x", "absent"), FACTS)
    assert "actual" not in evidence(condition("moon", "is", "x", "absent"), FACTS)
    long = evidence(condition("user", "is", "x" * 900, "plan"), Facts(message="", user={"plan": "y\n" * 900}))
    assert len(long["actual"]) == 120 and len(long["condition"]) < 150


def test_well_formed_conditions_are_taken_and_others_refused_with_a_sentence() -> None:
    values: dict[str, Any] = {"in": ["a", 2], "gt": "5", "lt": 5, "exists": None, "missing": None}
    good = [condition("user", op, values.get(op, "x"), "plan") for op in OPERATORS]
    assert check_conditions(good) == good
    for bad in (
        condition("user", "sounds_like", "x", "plan"),
        condition("moon", "is", "x", "phase"),
        condition("user", "is", "x", " "),
        condition("user", "is", "", "plan"),
        condition("user", "is", ["x"], "plan"),
        condition("user", "in", "x", "plan"),
        condition("user", "in", [], "plan"),
        condition("user", "in", [{}], "plan"),
        condition("user", "gt", "many", "seats"),
        condition("page", "matches", "*" * 1001, "path"),
        condition("user", "is", "x", "k" * 201),
        condition("user", ["is"], "x", "plan"),  # type: ignore[arg-type]
        "plan",
    ):
        with pytest.raises(InvalidRequest, match=r"^Condition 1"):
            check_conditions([bad])
    with pytest.raises(InvalidRequest, match="At most 30"):
        check_conditions(good * 4)
