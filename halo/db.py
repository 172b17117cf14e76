"""Giving the database connection back to the pool before waiting for anything slow."""

from __future__ import annotations

from django.db import connection


def release_connection() -> None:
    """Returns this thread's connection to the pool; does nothing inside a transaction, which must keep its own."""
    if not connection.in_atomic_block:
        connection.close()
