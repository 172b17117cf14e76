"""`manage.py migrate` takes as long as it needs: the limits of requests would end it on a slow or large database."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

# Between two statements Django computes for seconds, inside the migration's transaction; an index may take minutes.
# The wait for locks stays limited: a migration that waits for one has everybody else waiting behind it.
LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        with connection.cursor() as cursor:
            for limit in LIMITS:
                cursor.execute(f"SET {limit} = 0")
        try:
            super().handle(*args, **options)
        finally:
            if connection.is_usable():
                with connection.cursor() as cursor:
                    for limit in LIMITS:
                        cursor.execute(f"RESET {limit}")
