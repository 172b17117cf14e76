"""`manage.py up`, as the list of commands knows it: manage.py runs halo.supervisor without loading any of this."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from halo import supervisor


class Command(BaseCommand):
    help = supervisor.HELP
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        supervisor.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(supervisor.up(options["data_dir"], options["port"], demo=not options["no_demo"]))
