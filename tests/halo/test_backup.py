"""`manage.py backup` and `restore`, on embedded servers and on a server that DATABASE_URL names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from halo.embedded import locate
from halo.embedded.servers import running, throw_away_folder


def manage(data_dir: Path, *args: str, database_url: str = "") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HALO_DATA_DIR": str(data_dir)}
    if database_url:
        env["DATABASE_URL"] = database_url
    return subprocess.run(
        [sys.executable, "manage.py", *args],
        cwd=settings.BASE_DIR,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def organisations(**where: str) -> list[str]:
    with psycopg.connect(user="halo", **where) as db:
        return [row[0] for row in db.execute("SELECT name FROM orgs_organization ORDER BY name")]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A data folder with one organisation, stopped, and a backup of it."""
    file = tmp_path_factory.mktemp("backup") / "halo.tar"
    with throw_away_folder() as data_dir:
        _fill(data_dir, file)
        yield data_dir, file


def _fill(data_dir: Path, file: Path) -> None:
    with running(data_dir, throw_away=True, valkey=False):
        assert manage(data_dir, "migrate").returncode == 0
        made = manage(data_dir, "create_org", "Größe & Söhne", "--json")
        assert made.returncode == 0, made.stderr
    done = manage(data_dir, "backup", str(file))
    assert done.returncode == 0, done.stderr
    assert "the database and its keys" in done.stdout


def test_a_backup_holds_the_keys_and_is_readable_by_its_owner_only(installation: tuple[Path, Path]) -> None:
    data_dir, file = installation
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    with tarfile.open(file) as tar:
        secrets = tar.extractfile("secrets.json")
        assert secrets is not None
        assert json.load(secrets) == json.loads((data_dir / "secrets.json").read_text())


@pytest.fixture
def fresh() -> Iterator[Path]:
    with throw_away_folder() as folder:
        yield folder


def test_a_backup_is_restored_into_a_new_folder_and_not_over_one_in_use(
    installation: tuple[Path, Path], fresh: Path
) -> None:
    data_dir, file = installation
    done = manage(fresh, "restore", str(file))
    assert done.returncode == 0, done.stderr
    kept, restored = (json.loads((folder / "secrets.json").read_text()) for folder in (data_dir, fresh))
    assert kept == restored
    with running(fresh, throw_away=True, valkey=False) as endpoints:
        assert organisations(host=str(endpoints.socket_dir), dbname="halo") == ["Größe & Söhne"]
        assert manage(fresh, "migrate", "--check").returncode == 0
        refused = manage(fresh, "restore", str(file))
        assert refused.returncode == 1
        assert "--force replaces" in refused.stderr
        assert manage(fresh, "restore", "--force", str(file)).returncode == 0
        assert organisations(host=str(endpoints.socket_dir), dbname="halo") == ["Größe & Söhne"]


def test_a_damaged_backup_changes_nothing(installation: tuple[Path, Path], tmp_path: Path) -> None:
    data_dir, file = installation
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    refused = manage(data_dir, "restore", "--force", str(damaged))
    assert refused.returncode == 1
    assert "not a whole backup" in refused.stderr
    with running(data_dir, throw_away=True, valkey=False):
        assert organisations(host=str(locate(data_dir).socket_dir), dbname="halo") == ["Größe & Söhne"]


@pytest.mark.django_db(transaction=True)
def test_a_backup_is_restored_into_the_server_that_database_url_names(
    installation: tuple[Path, Path], tmp_path: Path
) -> None:
    _, file = installation
    url, _, _ = os.environ["HALO_TEST_DATABASE_URL"].rpartition("/")
    name = f"restored_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        done = manage(tmp_path, "restore", str(file), database_url=f"{url}/{name}")
        assert done.returncode == 0, done.stderr
        host = str(connection.get_connection_params()["host"])
        assert organisations(host=host, dbname=name) == ["Größe & Söhne"]
        assert manage(tmp_path, "backup", str(tmp_path / "again.tar"), database_url=f"{url}/{name}").returncode == 0
    finally:
        with connection.cursor() as cursor:
            # Without FORCE, which a role that is no superuser may not where autovacuum is at it; this waits for it.
            cursor.execute(f"DROP DATABASE {name}")
