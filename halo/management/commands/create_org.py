"""`manage.py create_org`."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.services import create_ready_org
from halo.errors import HaloError


class Command(BaseCommand):
    help = (
        "Makes an organisation that can answer at once: with an agent, a widget key that works from every site, and "
        "an identity secret, which is shown here and never again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the organisation's name")
        parser.add_argument("--slug", help="a short name for commands and addresses (default: made from NAME)")
        parser.add_argument(
            "--verify-identity",
            action="store_true",
            help="refuse requests that name a user without a token signed with the identity secret",
        )
        parser.add_argument(
            "--backend",
            choices=["openai", "extractive"],
            default="",
            help="what answers: a model behind an OpenAI-compatible endpoint, or quotes from the knowledge "
            "(default: the installation's)",
        )
        parser.add_argument("--json", action="store_true", help="print one line of JSON, the last on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not 0 < len(name) <= 200:
            raise CommandError("NAME is 1 to 200 characters.")
        try:
            made = create_ready_org(
                name=name,
                slug=options["slug"],
                verify_identity=options["verify_identity"],
                model_backend=options["backend"],
            )
        except HaloError as error:
            raise CommandError(error.message) from None
        shown = {
            "org_id": str(made.org.pk),
            "widget_key": made.widget_key,
            "identity_secret": made.identity_secret,
            "agent_id": str(made.agent.pk),
        }
        if options["json"]:
            self.stdout.write(json.dumps(shown))
            return
        self.stdout.write(f"Organisation     {made.org.name} ({made.org.slug})\n")
        for title, key in (
            ("Id", "org_id"),
            ("Agent", "agent_id"),
            ("Widget key", "widget_key"),
            ("Identity secret", "identity_secret"),
        ):
            self.stdout.write(f"{title:<17}{shown[key]}\n")
        self.stdout.write("The identity secret is not shown again.\n")
