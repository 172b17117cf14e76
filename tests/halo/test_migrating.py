"""Migrations may take long; what they run with is not left behind."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import post_migrate


def limits() -> list[str]:
    found = []
    with connection.cursor() as cursor:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"):
            cursor.execute(f"SHOW {name}")
            found.append(cursor.fetchone()[0])
    return found


@pytest.mark.django_db
def test_a_migration_has_all_the_time_it_needs_and_a_request_after_it_does_not() -> None:
    during: list[list[str]] = []

    def look(**_: Any) -> None:
        during.append(limits())

    post_migrate.connect(look)
    try:
        call_command("migrate", verbosity=0)
    finally:
        post_migrate.disconnect(look)

    assert during and all(seen == ["0", "0", "5s"] for seen in during)
    assert limits() == ["15s", "10s", "5s"]
