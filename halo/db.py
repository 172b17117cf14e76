"""Connections to the database: from a pool that looks before it lends, and given back before waiting for anything."""

from __future__ import annotations

import select
from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.pq import TransactionStatus

# What the pool executes to find out whether a connection still works.
_CHECK = ""


class PooledConnection(psycopg.Connection[Any]):
    """One that is checked without asking the server, as long as nothing has come over it unasked.

    A server that ends a connection, or ends itself however it does, closes the socket, and the kernel knows. Asking
    for a connection is what a turn does most often, and each check was a round trip.
    """

    _checked: psycopg.Cursor[Any] | None = None

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> psycopg.Cursor[Any]:
        if query == _CHECK and self._is_quiet():
            # Nobody reads it.
            self._checked = self._checked or self.cursor()
            return self._checked
        return super().execute(query, params, **kwargs)

    def _is_quiet(self) -> bool:
        if self.closed or self.info.transaction_status != TransactionStatus.IDLE:
            return False
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return not poll.poll(0)


def run(statement: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a statement that turns run all the time: the server keeps it parsed and planned, a connection each.

    Django's own cursors put values into the text, which is parsed and planned anew every time. Inside a transaction it
    is part of that, outside it is one of its own. A thread that has no connection borrows one from the pool for just
    the statement. Whole numbers travel without a type, as one of a type that depends on their size would make
    statements of one; where the context does not tell what a value is, cast it.

    A plan that is kept must not be made for a table that was empty then: there, an index that begins with the
    organisation costs as much as the key, and is read from end to end once there are rows. So a row is found by its key
    alone, and what else must hold is written as no index can answer it: `(org_id = %(org)s) IS TRUE`.
    """
    given = {name: str(value) if type(value) is int else value for name, value in params.items()}
    mine: Any = connections[DEFAULT_DB_ALIAS]
    if mine.connection is None and not (mine.in_atomic_block or mine.queries_logged or mine.execute_wrappers):
        return _borrowing(mine, statement, given)
    mine.ensure_connection()
    # What Django's `cursor()` does around a cursor of its own kind: errors, logging, broken transactions.
    with mine._prepare_cursor(psycopg.Cursor(mine.connection)) as cursor:
        cursor.execute(statement, given)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _borrowing(mine: Any, statement: str, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """`run` without what Django does for a connection that it keeps, which takes three times as long as the pool."""
    with mine.wrap_database_errors:
        pool = mine.pool
        pool.open()
        borrowed = pool.getconn()
        try:
            # Django sets this each time that it takes a connection, and leaves it as a transaction did.
            if not borrowed.autocommit:
                borrowed.autocommit = True
            return psycopg.Cursor(borrowed).execute(statement, given).fetchall()
        finally:
            pool.putconn(borrowed)


def release_connection() -> None:
    """Returns this thread's connection to the pool; does nothing inside a transaction, which must keep its own."""
    mine = connections[DEFAULT_DB_ALIAS]
    if mine.connection is not None and not mine.in_atomic_block:
        mine.close()
