"""`manage.py reencrypt`."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandParser
from django.db import models, transaction

from orgs import audit
from orgs.secrets import EncryptedTextField


class Command(BaseCommand):
    help = (
        "Encrypts every stored secret again with the newest of HALO_ENCRYPTION_KEYS (the first). To change the key: "
        "put a new one first and restart, run this, then remove the old one and restart. It may run while Halo serves, "
        "and be run again after an interruption."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=200, help="rows a transaction (default: 200)")

    def handle(self, *args: Any, **options: Any) -> None:
        counts = {}
        for model in apps.get_models():
            for field in model._meta.concrete_fields:
                if isinstance(field, EncryptedTextField):
                    count = reencrypt(model, field.name, batch=options["batch"])
                    counts[f"{model._meta.label_lower}.{field.name}"] = count
                    self.stdout.write(f"{model._meta.label}.{field.name}: {count}\n")
        audit.record(org=None, actor=None, action="secrets.reencrypted", after=counts)
        self.stdout.write(f"{sum(counts.values())} secrets are encrypted with the newest key.\n")


def reencrypt(model: type[models.Model], name: str, *, batch: int) -> int:
    """Writes the column `name` of every row that has one again; returns how many."""
    done, last = 0, None
    while True:
        with transaction.atomic():
            rows = model._base_manager.exclude(**{name: ""}).order_by("pk")
            if last is not None:
                rows = rows.filter(pk__gt=last)
            # Locked, so that a secret that is being replaced right now is not put back.
            found = list(rows.select_for_update(no_key=True).values_list("pk", name)[:batch])
            for pk, plain in found:
                model._base_manager.filter(pk=pk).update(**{name: plain})
        if not found:
            return done
        done, last = done + len(found), found[-1][0]
