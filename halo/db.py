"""Connections to the database: from a pool that looks before it lends, and given back before waiting for anything."""

from __future__ import annotations

import select
from typing import Any

import psycopg
from django.db import connection
from psycopg.pq import TransactionStatus

# What the pool executes to find out whether a connection still works.
_CHECK = ""


class PooledConnection(psycopg.Connection[Any]):
    """One that is checked without asking the server, as long as nothing has come over it unasked.

    A server that ends a connection, or ends itself however it does, closes the socket, and the kernel knows. Asking
    for a connection is what a turn does most often, and each check was a round trip.
    """

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> psycopg.Cursor[Any]:
        if query == _CHECK and self._is_quiet():
            return self.cursor()
        return super().execute(query, params, **kwargs)

    def _is_quiet(self) -> bool:
        if self.closed or self.info.transaction_status != TransactionStatus.IDLE:
            return False
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return not poll.poll(0)


def release_connection() -> None:
    """Returns this thread's connection to the pool; does nothing inside a transaction, which must keep its own."""
    if not connection.in_atomic_block:
        connection.close()
