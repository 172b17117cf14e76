"""`manage.py restore FILE`."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection

from halo.embedded.keys import NAMES, make_private, replace_secrets
from halo.management.dumps import DUMP, FORMAT, MANIFEST, SECRETS, current_secrets, database_at_hand, run_tool

# Extensions stay: the role that Halo connects as may not be allowed to make them again.
_EMPTY = """
DO $$ DECLARE found record; BEGIN
  FOR found IN SELECT c.oid::regclass AS name, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
  LOOP EXECUTE format('DROP %s IF EXISTS %s CASCADE', found.kind, found.name); END LOOP;
  FOR found IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
  LOOP EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', found.name); END LOOP;
  FOR found IN SELECT t.oid::regconfig AS name FROM pg_ts_config t WHERE t.cfgnamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
  LOOP EXECUTE format('DROP TEXT SEARCH CONFIGURATION IF EXISTS %s CASCADE', found.name); END LOOP;
END $$;
"""


class Command(BaseCommand):
    help = (
        "Puts back what `backup` wrote: the database, and the keys into secrets.json of the data folder. "
        "The database must be empty of organisations and users (a new data folder, or one that only `up --no-demo` has "
        "seen), unless --force is given, which REPLACES what is there. It happens in one transaction: when it fails, "
        "nothing has changed. Best done while Halo is stopped; else restart it afterwards. "
        "A backup of an older release is brought up to date by the next `up` or `migrate`."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a file that `manage.py backup` wrote")
        parser.add_argument("--force", action="store_true", help="replace a database that is in use; its data is lost")

    def handle(self, *args: Any, **options: Any) -> None:
        make_private(settings.HALO_DATA_DIR)
        folder = settings.HALO_DATA_DIR / f".restore.{os.getpid()}"
        folder.mkdir(mode=0o700)
        try:
            made_at, secrets = _unpack(Path(options["file"]), folder)
            with database_at_hand():
                if not options["force"] and (reason := _reason_not_to()):
                    raise CommandError(f"{reason} Nothing was changed. --force replaces what is there.")
                connection.close()
                self._replace_database(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.stdout.write(f"Restored the database as it was at {made_at}.")
        self._restore_secrets(secrets)

    def _replace_database(self, folder: Path) -> None:
        script, empty = folder / "database.sql", folder / "empty.sql"
        empty.write_text(_EMPTY)
        # First wholly read, then run: a damaged file must not be found out half-way through.
        run_tool("pg_restore", "--no-owner", "--no-privileges", "--no-comments", f"--file={script}", str(folder / DUMP))
        once = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"]
        run_tool("psql", *once, f"--file={empty}", f"--file={script}")

    def _restore_secrets(self, secrets: dict[str, str]) -> None:
        if secrets == current_secrets():
            self.stdout.write("Its keys are the ones in use.")
            return
        replace_secrets(settings.HALO_DATA_DIR, secrets)
        self.stdout.write(f"Wrote its keys to {settings.HALO_DATA_DIR / 'secrets.json'}.")
        for name in NAMES:
            if os.environ.get(name, secrets[name]) != secrets[name]:
                self.stdout.write(
                    self.style.WARNING(
                        f"The environment sets another {name}, which wins over that file: unset it, or set it to the "
                        f"backup's, or the restored secrets cannot be read."
                    )
                )
        self.stdout.write("Restart Halo: processes that run now still use the old keys.")


def _unpack(source: Path, folder: Path) -> tuple[str, dict[str, str]]:
    """Copies the members of a backup into `folder`; returns when it was made, and its secrets."""
    try:
        with tarfile.open(source) as tar:
            for name in (MANIFEST, SECRETS, DUMP):
                member = tar.extractfile(name)
                if member is None:
                    raise KeyError(name)
                with (folder / name).open("wb") as copy:
                    shutil.copyfileobj(member, copy)
        manifest = json.loads((folder / MANIFEST).read_text())
        secrets = json.loads((folder / SECRETS).read_text())
        if manifest["format"] != FORMAT:
            raise CommandError(f"{source} was written by a newer Halo: restore it with that release.")
        return str(manifest["made_at"]), {name: str(secrets[name]) for name in NAMES}
    except OSError as error:
        raise CommandError(f"{source} cannot be read: {error.strerror}.") from error
    except (tarfile.TarError, KeyError, ValueError, TypeError) as error:
        raise CommandError(f"{source} is not a whole backup of Halo.") from error


def _reason_not_to() -> str:
    """Why the database must not be replaced; empty where it is as good as new."""
    try:
        with connection.cursor() as cursor:
            tables = set(connection.introspection.table_names(cursor))
            ours = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
            if strange := sorted(tables - ours - {"django_migrations"}):
                return f"The database holds tables that are not of this Halo: {', '.join(strange[:5])}."
            for model in (apps.get_model("orgs", "Organization"), get_user_model()):
                if model._meta.db_table in tables and model._base_manager.exists():
                    return f"The database holds {model._meta.verbose_name_plural}."
    except OperationalError as error:
        raise CommandError(f"The database does not answer: {error}") from error
    return ""
