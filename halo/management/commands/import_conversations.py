"""`manage.py import_conversations`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.bulk.importing import ImportReport, import_conversations
from conversations.bulk.removing import remove
from conversations.models import Conversation
from halo.errors import HaloError
from orgs.services import find_org

SHOWN_FAILURES = 20


class Command(BaseCommand):
    help = (
        "Brings conversations that were recorded elsewhere into an organisation's transcripts. FILE is JSON Lines: one "
        "object a line with `id` (known again by it) and `messages` as chat APIs have them (roles system, user, "
        "assistant with `tool_calls`, tool), and if you like `success`, `language`, `created_at` and `model`. Moments "
        "that nobody recorded are made up, within the last 30 days. A second run adds nothing. Lines that are wrong "
        "are left out and named with their number; then it ends with status 1, and the others are stored nevertheless."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", nargs="?", type=Path, help="the JSON Lines to read")
        parser.add_argument("--org", required=True, metavar="ID", help="the organisation's id or slug")
        parser.add_argument(
            "--remove", action="store_true", help="take all imported conversations away again; needs no FILE"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        try:
            org = find_org(options["org"])
            if options["remove"]:
                count = remove(org=org, origin=Conversation.Origin.IMPORTED)
                self.stdout.write(f"{count:,} imported conversations removed from {org.name}.")
                return
            if options["file"] is None:
                raise CommandError("Name the file to import.")
            lines = options["file"].read_bytes().splitlines()
            report = import_conversations(org=org, lines=lines, total=len(lines), progress=self._show)
        except OSError as error:
            raise CommandError(f"Cannot read {options['file']}: {error.strerror}.") from None
        except HaloError as error:
            raise CommandError(error.message) from None
        self._summarise(report, time.monotonic() - began, org.name)

    def _show(self, done: int, total: int) -> None:
        """A line that is written over itself on a terminal, each hundred lines elsewhere."""
        if self.stderr.isatty():
            self.stderr.write(f"\r{done:,} of {total:,} lines", style_func=str, ending="\n" if done == total else "")
            self.stderr.flush()
        elif done == total or done % 100 == 0:
            self.stderr.write(f"{done:,} of {total:,} lines", style_func=str)

    def _summarise(self, report: ImportReport, seconds: float, where: str) -> None:
        self.stdout.write(
            f"{where}: {report.created:,} conversations with {report.messages:,} messages imported, {report.known:,} "
            f"known already, {len(report.refused):,} lines refused, in {seconds:.1f} s."
        )
        if report.refused:
            shown = [f"  line {number}: {reason}" for number, reason in report.refused[:SHOWN_FAILURES]]
            if len(report.refused) > SHOWN_FAILURES:
                shown.append(f"  and {len(report.refused) - SHOWN_FAILURES:,} more")
            raise CommandError("\n".join(["Not imported:", *shown]))
