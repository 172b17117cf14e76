"""`manage.py generate_demo`."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations.bulk.generating import generate
from conversations.bulk.removing import remove
from conversations.models import Conversation
from halo.demo import SLUG
from halo.errors import HaloError
from orgs.services import find_org


class Command(BaseCommand):
    help = (
        "Fills an organisation with made-up conversations, to see pages as they are under volume: lengths, languages, "
        "kinds of answers, confidence, ratings, handovers, tickets and versions in the shape of real ones, laid over "
        "months. They are marked as generated, in lists too, and --remove takes them and their people away again. Not "
        "for an organisation whose numbers matter: what is generated counts in them."
    )

    _tenths = 0

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--org", default=SLUG, metavar="ID", help=f"the organisation's id or slug (default: {SLUG})"
        )
        parser.add_argument("--messages", type=int, default=10_000, metavar="N", help="how many (default: 10,000)")
        parser.add_argument("--months", type=int, default=6, metavar="N", help="over how many months (default: 6)")
        parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed makes other words")
        parser.add_argument("--remove", action="store_true", help="take everything that was generated away again")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        try:
            org = find_org(options["org"])
            if options["remove"]:
                count = remove(org=org, origin=Conversation.Origin.GENERATED, progress=self._removed)
                self.stdout.write(f"{count:,} generated conversations removed from {org.name}.")
                return
            made = generate(
                org=org,
                messages=options["messages"],
                months=options["months"],
                seed=options["seed"],
                progress=self._show,
            )
        except HaloError as error:
            raise CommandError(error.message) from None
        seconds = time.monotonic() - began
        self.stdout.write(
            f"{org.name}: {made:,} conversations with {options['messages']:,} messages generated in {seconds:.1f} s, "
            f"{options['messages'] / seconds:,.0f} a second. `generate_demo --org {org.slug} --remove` removes them."
        )

    def _show(self, done: int, total: int) -> None:
        """A line that is written over itself on a terminal, one every tenth of the way elsewhere."""
        if self.stderr.isatty():
            self.stderr.write(f"\r{done:,} of {total:,} messages", style_func=str, ending="\n" if done == total else "")
            self.stderr.flush()
        elif done == total or done * 10 // total > self._tenths:
            self._tenths = done * 10 // total
            self.stderr.write(f"{done:,} of {total:,} messages", style_func=str)

    def _removed(self, done: int) -> None:
        if self.stderr.isatty() or done % 5_000 == 0:
            self.stderr.write(f"{done:,} conversations removed", style_func=str)
