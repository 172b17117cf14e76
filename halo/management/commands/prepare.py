"""`manage.py prepare`: what a database needs before Halo runs on it."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from orgs.services import check_keys


class Command(BaseCommand):
    help = "Migrates the database, and makes sure that the keys fit what is encrypted in it. `manage.py up` begins so."
    # They look for mistakes of developers (`make check`), load all pages for it, and every deploy would wait for that.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, stdout=self.stdout, stderr=self.stderr)
        check_keys()
