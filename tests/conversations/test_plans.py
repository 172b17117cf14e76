"""What every turn asks the database is looked up by keys, even where a plan was made for empty tables and kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from conversations import loading, recording, storing, turns, waiting

pytestmark = pytest.mark.django_db

STATEMENTS = {
    "claim": turns._CLAIM,
    "claim with others": turns._CLAIM_WITH_OTHERS,
    "read": loading._READ,
    "settle": recording._SETTLE,
    "look": waiting._LOOK,
    "go on": storing._WENT_ON,
}
GROWING = (
    "chat_sessions_chatsession",
    "chat_sessions_event",
    "conversations_conversation",
    "conversations_message",
    "conversations_turn",
    "conversations_turntrace",
)
# Whatever begins with another column finds as many rows as an organisation has, or as there are in flight.
KEYS = {"id", "session_id", "conversation_id", "end_user_id", "turn_id"}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_no_index_but_that_of_a_key_answers_for_a_growing_table(statement: str) -> None:
    for scan in _scans(statement):
        assert _begins_with(scan) & KEYS, f"{_kind(scan)} of {scan['Relation Name']} by {scan.get('Index Name')}"


def test_what_is_next_of_an_organisation_is_sought_among_what_is_queued() -> None:
    (sought,) = [scan for scan in _scans(turns._NEXT_OF_ORG) if not _begins_with(scan) & KEYS]
    # Of the second, in which are the running ones too, only the part of what is queued.
    assert sought["Index Name"] == "turn_queued" or (
        sought["Index Name"] == "turn_in_flight" and "= 'queued'" in sought["Index Cond"]
    )


def test_no_index_of_a_growing_table_is_the_beginning_of_another() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indrelid::regclass::text, indexrelid::regclass::text, indkey::text, indisunique"
            "  FROM pg_index WHERE indrelid::regclass::text = ANY(%s) AND indpred IS NULL AND indexprs IS NULL",
            [list(GROWING)],
        )
        indexes = cursor.fetchall()
    assert {table for table, *_ in indexes} == set(GROWING)
    for table, name, columns, is_unique in indexes:
        longer = [
            other
            for other_table, other, other_columns, _ in indexes
            if other_table == table and other != name and f"{other_columns} ".startswith(f"{columns} ")
        ]
        assert is_unique or not longer, f"{name} is the beginning of {longer}"


def _scans(statement: str) -> list[dict[str, Any]]:
    """Of the growing tables, in the plan that is made for any values."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        # As in a database that was made a moment ago, whatever tests before have left in these tables.
        for table in GROWING:
            cursor.execute("SELECT pg_clear_relation_stats('public', %s)", [table])
        # So that only the choice between indexes is left.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("EXPLAIN (GENERIC_PLAN, FORMAT JSON) " + _numbered(statement))
        [(plan,)] = cursor.fetchall()
    scans = [node for node in _nodes(plan[0]["Plan"]) if node.get("Relation Name") in GROWING and "Scan" in _kind(node)]
    assert scans, "the statement reads none of them"
    return scans


def _numbered(statement: str) -> str:
    """With `$1` for a named parameter, as the server knows it."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return re.sub(r"%\((\w+)\)s", number, statement)


def _begins_with(scan: dict[str, Any]) -> set[str]:
    """The columns by which its index is entered."""
    return set(re.findall(r"\((\w+) = ", scan.get("Index Cond", "")))


def _kind(node: dict[str, Any]) -> str:
    return str(node["Node Type"])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
