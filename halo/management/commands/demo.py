"""`manage.py demo`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from agents.backends import installation_default
from halo.demo import ensure_demo


class Command(BaseCommand):
    help = (
        "Makes a first organisation with an agent, a widget key, an identity secret and a superuser where they are "
        "missing, teaches the agent our documentation, and prints what a newcomer needs. Password and identity "
        "secret are shown once, by the run that made them. `manage.py up` runs it unless told --no-demo."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=settings.HALO_PORT, help="the port to print in addresses")

    def handle(self, *args: Any, **options: Any) -> None:
        demo = ensure_demo()
        base = settings.HALO_PUBLIC_URL or f"http://127.0.0.1:{options['port']}"
        lines = [
            "",
            f"  Shop         {base}/demo/   (a customer's page with the widget)",
            f"  Admin        {base}/admin/",
            f"  Login        {demo.login}"
            + (f"   password: {demo.password}   (shown once)" if demo.password else "   (password as set)"),
            f"  API          {base}/api/docs/",
            f"  Organisation {demo.organization.name} ({demo.organization.slug}), {demo.articles} articles",
            f"  Its id       {demo.organization.pk}",
            f"  Widget key   {demo.widget_key}",
        ]
        if demo.identity_secret:
            lines.append(f"  Secret       {demo.identity_secret}   (signs user tokens; shown once)")
        if installation_default() == "extractive":
            lines.append("  Model        none: answers quote the documentation; set OPENAI_API_KEY to use a model")
        lines += [
            "",
            "  Ask something:",
            "",
            f"  curl -s {base}/api/sdk/chat -H 'Authorization: Bearer {demo.widget_key}' "
            "-H 'Content-Type: application/json' -d '{\"message\": \"How do I back up Halo?\"}'",
            "",
        ]
        self.stdout.write("\n".join(lines))
