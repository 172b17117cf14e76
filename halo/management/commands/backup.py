"""`manage.py backup FILE`."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from halo.management.dumps import (
    DUMP,
    FORMAT,
    MANIFEST,
    SECRETS,
    current_secrets,
    database_at_hand,
    private_folder_beside,
    run_tool,
)


class Command(BaseCommand):
    help = (
        "Writes the whole installation to FILE: the database, and the keys that its stored secrets are encrypted with. "
        "Works while Halo runs, and where it is stopped; with the embedded database and with DATABASE_URL alike. "
        "FILE is readable by you alone and appears when it is complete; an older one of that name is replaced. "
        "Keep it where you would keep a password: whoever has it has everything. What is in Redis is not in it: "
        "the database is the truth, and turns that wait are taken up from there."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="where to write, for example halo-2026-01-31.tar")

    def handle(self, *args: Any, **options: Any) -> None:
        target = Path(os.path.abspath(options["file"]))
        folder = private_folder_beside(target)
        try:
            with database_at_hand():
                run_tool("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={folder / DUMP}")
            manifest = {"format": FORMAT, "made_at": timezone.now().isoformat(timespec="seconds")}
            (folder / MANIFEST).write_text(json.dumps(manifest))
            (folder / SECRETS).write_text(json.dumps(current_secrets()))
            whole = folder / "whole.tar"
            # SECURITY: the keys are in it, so nobody else may read it, not even while it is written.
            with open(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                with tarfile.open(fileobj=file, mode="w") as tar:
                    for name in (MANIFEST, SECRETS, DUMP):
                        (folder / name).chmod(0o600)
                        tar.add(folder / name, arcname=name)
                file.flush()
                os.fsync(file.fileno())
            size = whole.stat().st_size
            whole.replace(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.stdout.write(f"Wrote {target} ({size / 1e6:.1f} MB): the database and its keys.")
