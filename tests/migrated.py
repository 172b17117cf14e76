"""A migrated database to copy from, made once for a state of the migrations: applying them takes 20 s of CPU."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from halo.embedded.binaries import find_binaries

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".venv" / "migrated"
TEMPLATE = "halo_migrated"


def template(url: str, *, host: str, user: str) -> str:
    """The name of a database that has every migration, on the throw-away server of `url`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        # Each process of a run wants it; whoever comes first makes it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        with psycopg.connect(host=host, user=user, dbname="postgres", autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone():
                return TEMPLATE
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        database = psycopg.conninfo.make_conninfo(host=host, user=user, dbname=TEMPLATE)
        _fill(database, f"{url.rpartition('/')[0]}/{TEMPLATE}")
    return TEMPLATE


def _fill(database: str, url: str) -> None:
    dump = CACHE / f"{_state()}.dump"
    if not dump.exists():
        for old in CACHE.glob("*.dump"):
            old.unlink()
        env = os.environ | {
            "DATABASE_URL": url,
            "HALO_DATA_DIR": str(CACHE / "data"),
            "DJANGO_SETTINGS_MODULE": "halo.settings",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--no-input", "-v", "0"]
        subprocess.run(migrate, cwd=ROOT, env=env, check=True)
        unfinished = dump.with_suffix(".unfinished")
        subprocess.run([_tool("pg_dump"), f"--dbname={database}", "-Fc", f"--file={unfinished}"], check=True)
        unfinished.rename(dump)
        return
    subprocess.run([_tool("pg_restore"), f"--dbname={database}", "--exit-on-error", str(dump)], check=True)


def _tool(name: str) -> str:
    return str(find_binaries().postgres / name)


def _state() -> str:
    """Changes with the migrations of ours, and with what others' come with."""
    files = [*ROOT.glob("*/migrations/*.py"), *(ROOT / "requirements").glob("*.txt")]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
