"""`manage.py export --org acme --what messages > messages.csv`: the files of the export page."""

from __future__ import annotations

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.http import QueryDict

from conversations.records.exporting import Export
from conversations.records.files import Kind
from conversations.records.selection import read_selection
from halo.errors import HaloError
from orgs.services import find_org

EVERY_SECONDS = 2.0


class Command(BaseCommand):
    help = (
        "Writes an organisation's conversations to standard output: CSV with a row a conversation or a row a message, "
        "or JSON Lines with a line a conversation and its messages. Progress goes to standard error."
    )
    # Checks load every page, which is memory that an export promises not to need.
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--org", required=True, metavar="ID", help="the organisation's id or slug")
        parser.add_argument("--what", choices=[kind.value for kind in Kind], default=Kind.CONVERSATIONS.value)
        parser.add_argument("--since", default="", metavar="DAY", help="first day, such as 2026-11-27 (UTC)")
        parser.add_argument("--until", default="", metavar="DAY", help="last day")
        parser.add_argument("--agent", default="", metavar="ID", help="of one agent only")
        parser.add_argument(
            "--query",
            default="",
            metavar="QUERY",
            help="any filters, as an address of the transcripts has them: 'rating=down&q=refund'",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asked = QueryDict(options["query"]).dict()
            asked |= {name: options[name] for name in ("since", "until", "agent") if options[name]}
            selection = read_selection(find_org(options["org"]), asked)
            export = Export(kind=Kind(options["what"]), chosen=selection, by=None)
        except HaloError as error:
            raise CommandError(error.message) from None
        told_at = time.monotonic()
        try:
            for piece in export.pieces():
                self.stdout.write(piece, ending="")
                if time.monotonic() - told_at >= EVERY_SECONDS:
                    told_at = time.monotonic()
                    of = "" if export.total is None else f" of {export.total:,}"
                    self.stderr.write(f"{export.done:,}{of}")
        finally:
            export.close()
        self.stderr.write(f"{export.done:,} written")
