"""`manage.py up`: becomes halo.supervisor, and leaves a helper behind that does what needs Django at the start.

Loading Django takes a good half second of a start that has five. So the process that has it loaded is forked: one half
is replaced by the small supervisor, the other migrates when the database answers, prepares the demo while the web
processes start, shows it, and ends.
"""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from halo.embedded.processes import die_with_parent
from halo.supervisor import MIGRATE, MIGRATED, SHOW_DEMO
from orgs.services import check_keys


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
        port = str(options["port"])
        os.environ.update(HALO_DATA_DIR=os.path.abspath(options["data_dir"]), HALO_PORT=port)
        if Path(os.environ["HALO_DATA_DIR"]) != settings.HALO_DATA_DIR:
            # The settings have found the databases of another folder: once more, with this one.
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606
        ours, theirs = socket.socketpair()
        helper = os.fork()
        if not helper:
            ours.close()
            os._exit(_help(theirs, port=port, demo=not options["no_demo"]))
        theirs.close()
        ours.set_inheritable(True)
        flags = ["--no-demo"] if options["no_demo"] else []
        sys.stdout.flush()
        os.chdir(settings.BASE_DIR)
        os.execv(sys.executable, [sys.executable, "-m", "halo.supervisor", str(helper), str(ours.detach()), *flags])  # noqa: S606


def _help(wire: socket.socket, *, port: str, demo: bool) -> int:
    """The helper's life, in a process of its own; returns its exit code."""
    os.setsid()  # Ctrl-C is the supervisor's
    die_with_parent(signal.SIGKILL)
    if wire.recv(1) != MIGRATE:
        return 0
    try:
        with (settings.HALO_DATA_DIR / "logs" / "migrate.log").open("a") as log:
            try:
                call_command("migrate", interactive=False, stdout=log, stderr=log)
                check_keys()
            except Exception:
                traceback.print_exc(file=log)
                return 1
        wire.send(MIGRATED)
        if demo:
            shown = io.StringIO()
            try:
                call_command("demo", port=int(port), stdout=shown)
            except Exception as error:
                shown.write(f"There is no first organisation to try ({error}). `manage.py demo` says more.\n")
            if wire.recv(1) == SHOW_DEMO:
                sys.stdout.write(shown.getvalue())
                sys.stdout.flush()
    except OSError:  # the supervisor, or who reads its output, has gone
        return 1
    return 0
