"""`manage.py create_staff`."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from halo.errors import HaloError
from orgs.members import create_staff
from orgs.models import Membership
from orgs.services import find_org


class Command(BaseCommand):
    help = (
        "Makes a person a member of an organisation and gives them a new password, which is shown here and never "
        "again. The e-mail address is the login at /admin/. For somebody who has an account, the membership is added "
        "or its role changed, the password replaced, and every session of theirs ended."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL", help="the person's e-mail address")
        parser.add_argument("--org", required=True, metavar="ID", help="the organisation's id or slug")
        parser.add_argument(
            "--role",
            required=True,
            choices=Membership.Role.values,
            help="owner: everything; admin: members, keys and secrets, agents, conversations; support: agents, "
            "knowledge, conversations, widget keys; analyst: reads only",
        )
        parser.add_argument("--json", action="store_true", help="print one line of JSON, the last on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user, password = create_staff(email=options["email"], org=find_org(options["org"]), role=options["role"])
        except HaloError as error:
            raise CommandError(error.message) from None
        if options["json"]:
            self.stdout.write(json.dumps({"email": user.email, "password": password}))
        else:
            self.stdout.write(f"Login     {user.email}\nPassword  {password}\nThe password is not shown again.\n")
