"""What `backup` and `restore` share: the database at hand, and PostgreSQL's own tools pointed at it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from django.conf import settings
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, connections

from halo.embedded import EmbeddedError, locate
from halo.embedded.binaries import find_binaries
from halo.embedded.postgres import SOCKET
from halo.embedded.processes import listener
from halo.embedded.servers import running

# The members of a backup, a tar file.
MANIFEST, SECRETS, DUMP = "halo-backup.json", "secrets.json", "database.dump"
FORMAT = 1


def current_secrets() -> dict[str, str]:
    """The secrets in use, whether the environment or the data folder gave them."""
    return {
        "HALO_SECRET_KEY": settings.SECRET_KEY,
        "HALO_ENCRYPTION_KEYS": ",".join(settings.HALO_ENCRYPTION_KEYS),
    }


@contextmanager
def database_at_hand() -> Iterator[None]:
    """Inside the block the database answers; the embedded one is started for it where `up` does not run."""
    embedded = locate(settings.HALO_DATA_DIR)
    try:
        if embedded.database_url != settings.DATABASE_URL or listener(embedded.socket_dir / SOCKET):
            yield
        else:
            with running(settings.HALO_DATA_DIR, valkey=False):
                yield
    except EmbeddedError as error:
        raise CommandError(str(error)) from error
    finally:
        connections.close_all()


def run_tool(name: str, *arguments: str) -> None:
    """Runs pg_dump, pg_restore or psql against the database; raises CommandError with what it said."""
    params = connections[DEFAULT_DB_ALIAS].get_connection_params()
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()} - {"options", "password"}
    target = psycopg.conninfo.make_conninfo(**{key: value for key, value in params.items() if key in known})
    # SECURITY: everybody on this machine can read the arguments of a process, but not its environment.
    secret = {"PGPASSWORD": params["password"]} if params.get("password") else {}
    # pg_restore writes a script, which needs no database.
    place = [] if name == "pg_restore" else [f"--dbname={target}"]
    try:
        ran = subprocess.run(
            [_tool(name), *place, *arguments],
            env={**os.environ, **secret, "PGOPTIONS": "-c lock_timeout=30s"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    except OSError as error:
        raise CommandError(f"{name} cannot be run: {error}") from error
    if ran.returncode != 0:
        raise CommandError(f"{name} failed: {ran.stderr.strip()}")


def _tool(name: str) -> str:
    """A program of PostgreSQL that is not older than the server, which it could not dump."""
    server = int(connections[DEFAULT_DB_ALIAS].get_database_version()[0])
    found: list[str] = []
    with suppress(EmbeddedError):
        found.append(str(find_binaries().postgres / name))
    if on_path := shutil.which(name):
        found.append(on_path)
    for path in found:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"\d+", said)
        if version and int(version.group()) >= server:
            return path
    raise CommandError(f"No {name} of PostgreSQL {server} or newer was found. Install PostgreSQL's client programs.")


def private_folder_beside(path: Path) -> Path:
    """A new 0700 folder on the same file system as `path`, so that what is made in it can be renamed into place."""
    folder = path.parent / f".{path.name}.{os.getpid()}"
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise CommandError(f"Cannot write beside {path}: {error.strerror}.") from error
    return folder
