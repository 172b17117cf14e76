"""`manage.py up`."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = (
        "Starts Halo: PostgreSQL and Valkey (each only where DATABASE_URL or REDIS_URL does not name one of yours), "
        "the migrations, web, workers and beat. Keeps them running until Ctrl-C or SIGTERM. "
        "Process ids are in run/ and logs in logs/ of the data folder."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--data-dir",
            metavar="DIR",
            default=str(settings.HALO_DATA_DIR),
            help="where databases, keys and logs are kept (default: HALO_DATA_DIR, else .halo in the checkout)",
        )
        parser.add_argument(
            "--port",
            metavar="N",
            type=int,
            default=settings.HALO_PORT,
            help="listen on 127.0.0.1:N (default: HALO_PORT, else 8000); HALO_BIND gives another address",
        )
        parser.add_argument(
            "--no-demo", action="store_true", help="do not make and show a first organisation to try things with"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        os.environ["HALO_DATA_DIR"] = os.path.abspath(options["data_dir"])
        os.environ["HALO_PORT"] = str(options["port"])
        flags = ["--no-demo"] if options["no_demo"] else []
        sys.stdout.flush()
        # The supervisor takes this process over, without the memory that Django has filled by now.
        os.chdir(settings.BASE_DIR)
        os.execv(sys.executable, [sys.executable, "-m", "halo.supervisor", *flags])  # noqa: S606
