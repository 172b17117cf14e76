"""A migrated database to copy from, kept for a state of the migrations: applying them takes seconds of CPU."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from halo.embedded.binaries import find_binaries
from halo.embedded.places import Endpoints

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".venv" / "migrated"
# Several checkouts may share an environment.
KEPT = 6
NAME = "halo_migrated"


def make_template(servers: Endpoints) -> str:
    """Makes a database with every migration on servers that were just started; its name."""
    host = str(servers.socket_dir)
    with psycopg.connect(host=host, user="halo", dbname="halo", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {NAME}")
    database = psycopg.conninfo.make_conninfo(host=host, user="halo", dbname=NAME)
    dump = CACHE / f"{_state()}.dump"
    if dump.exists():
        dump.touch()
        subprocess.run([_tool("pg_restore"), f"--dbname={database}", "--exit-on-error", str(dump)], check=True)
        return NAME
    CACHE.mkdir(parents=True, exist_ok=True)
    env = os.environ | {
        "DATABASE_URL": f"{servers.database_url.rpartition('/')[0]}/{NAME}",
        "REDIS_URL": servers.redis_url,
        "HALO_DATA_DIR": str(CACHE / "data"),
        "DJANGO_SETTINGS_MODULE": "halo.settings",
    }
    migrate = [sys.executable, "manage.py", "migrate", "--no-input", "-v", "0"]
    subprocess.run(migrate, cwd=ROOT, env=env, check=True)
    unfinished = CACHE / f"{os.getpid()}.unfinished"
    subprocess.run([_tool("pg_dump"), f"--dbname={database}", "-Fc", f"--file={unfinished}"], check=True)
    unfinished.rename(dump)
    for old in sorted(CACHE.glob("*.dump"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
    return NAME


def _tool(name: str) -> str:
    return str(find_binaries().postgres / name)


def _state() -> str:
    """Changes with the migrations of ours, and with what others' come with."""
    files = [*ROOT.glob("*/migrations/*.py"), *(ROOT / "requirements").glob("*.txt")]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
