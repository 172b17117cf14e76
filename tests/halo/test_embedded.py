"""The launcher of the embedded servers, with real servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis
from django.conf import settings

from halo.embedded import EmbeddedError, ensure_secrets, locate
from halo.embedded.keys import replace_secrets
from halo.embedded.postgres import SOCKET
from halo.embedded.processes import listener, wait_gone
from halo.embedded.servers import running, throw_away_folder

# Starts both servers, says so, and is then killed; with `stay` the kernel is not asked to end them too.
STARTER = """
import os, sys, time
from pathlib import Path
from halo.embedded import processes
from halo.embedded.servers import running, throw_away_folder
if sys.argv[2] == "stay":
    processes.die_with_parent = lambda how: None
with running(Path(sys.argv[1]), throw_away=True):
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with throw_away_folder() as folder:
        yield folder


def connect(data_dir: Path) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(host=str(locate(data_dir).socket_dir), user="halo", dbname="halo", autocommit=True)


def killed_starter(data_dir: Path, how: str) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(data_dir), how], stdout=subprocess.PIPE, text=True, cwd=settings.BASE_DIR
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == "up\n"
    starter.kill()
    starter.wait()


def test_the_servers_keep_their_data_and_can_be_reached_by_their_owner_only(data_dir: Path) -> None:
    with running(data_dir) as endpoints:
        with connect(data_dir) as db:
            db.execute("CREATE EXTENSION IF NOT EXISTS vector; CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gin")
            db.execute("CREATE TABLE kept AS SELECT 'schön' AS word, '[1,2]'::vector AS place")
            assert db.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
        redis.Redis.from_url(endpoints.redis_url).set("kept", "yes")
        for private in (endpoints.socket_dir, endpoints.valkey_socket, endpoints.socket_dir / SOCKET):
            assert private.stat().st_mode & 0o077 == 0
    assert listener(endpoints.valkey_socket) is None
    assert not list(endpoints.run_dir.glob("*.pid"))
    with running(data_dir), connect(data_dir) as db:
        assert db.execute("SELECT upper(word), place::text FROM kept").fetchone() == ("SCHÖN", "[1,2]")
        assert redis.Redis.from_url(endpoints.redis_url).get("kept") == b"yes"


def test_servers_end_with_the_process_that_started_them_however_it_dies(data_dir: Path) -> None:
    killed_starter(data_dir, "go")
    until = time.monotonic() + 10
    while listener(locate(data_dir).valkey_socket) or listener(locate(data_dir).socket_dir / SOCKET):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_servers_left_behind_are_stopped_and_their_folder_is_taken_over(data_dir: Path) -> None:
    killed_starter(data_dir, "stay")
    endpoints = locate(data_dir)
    left = listener(endpoints.valkey_socket), listener(endpoints.socket_dir / SOCKET)
    assert all(left)
    with running(data_dir, throw_away=True), connect(data_dir) as db:
        assert db.execute("SELECT 1").fetchone() == (1,)
        assert listener(endpoints.valkey_socket) not in left
    assert wait_gone([pid for pid in left if pid], 0) == []


def test_a_process_id_that_now_belongs_to_another_program_is_left_alone(data_dir: Path) -> None:
    with running(data_dir, throw_away=True) as endpoints:
        pass
    stranger = subprocess.Popen(["/bin/sleep", "60"])
    try:
        note = data_dir / "servers" / "postgres" / "postmaster.pid"
        note.write_text(f"{stranger.pid}\n{data_dir}\n")
        note.chmod(0o600)
        os.chown(note, data_dir.joinpath("servers").stat().st_uid, -1)
        (endpoints.run_dir / "postgres.pid").write_text(f"{stranger.pid}\n")
        (endpoints.socket_dir / f"{SOCKET}.lock").write_text(f"{stranger.pid}\n")
        with running(data_dir, throw_away=True), connect(data_dir) as db:
            assert db.execute("SELECT 1").fetchone() == (1,)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_the_data_of_another_major_version_is_refused_with_the_way_out(data_dir: Path) -> None:
    with running(data_dir, throw_away=True, valkey=False):
        pass
    (data_dir / "servers" / "postgres" / "PG_VERSION").write_text("17\n")
    told = pytest.raises(EmbeddedError, match=r"PostgreSQL 17.*manage\.py backup.*manage\.py restore")
    with told, running(data_dir, throw_away=True, valkey=False):
        pass


def test_a_second_user_of_the_folder_is_told_who_has_it(data_dir: Path) -> None:
    told = pytest.raises(EmbeddedError, match=f"already runs on the data folder {data_dir}: process {os.getpid()}")
    with running(data_dir, throw_away=True, valkey=False), told, running(data_dir):
        pass


def test_a_path_too_long_for_sockets_gets_a_short_private_folder(data_dir: Path) -> None:
    deep = data_dir / ("ä+%" * 30)
    deep.mkdir(parents=True)
    assert len(os.fsencode(locate(deep).socket_dir / SOCKET)) < 107
    with running(deep, throw_away=True) as endpoints:
        assert endpoints.socket_dir.stat().st_mode & 0o077 == 0
        with connect(deep) as db:
            assert db.execute("SELECT 1").fetchone() == (1,)
        assert redis.Redis.from_url(endpoints.redis_url).ping()


def test_a_socket_folder_that_somebody_else_made_is_refused(data_dir: Path) -> None:
    home = data_dir / "servers"
    home.mkdir(parents=True)
    (home / "run").symlink_to("/tmp")
    with pytest.raises(EmbeddedError, match="not a folder of the user"), running(data_dir):
        pass


def test_locating_creates_nothing(tmp_path: Path) -> None:
    assert locate(tmp_path / "nowhere").run_dir == tmp_path / "nowhere" / "run"
    assert not (tmp_path / "nowhere").exists()


def test_processes_that_start_at_once_agree_on_the_secrets(tmp_path: Path) -> None:
    program = "import sys, pathlib; from halo.embedded import *; print(ensure_secrets(pathlib.Path(sys.argv[1])))"

    def ask(_: int) -> str:
        return subprocess.check_output([sys.executable, "-c", program, tmp_path], text=True, cwd=settings.BASE_DIR)

    with ThreadPoolExecutor() as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_secrets_that_are_replaced_stay_beside_the_new_ones(tmp_path: Path) -> None:
    old = ensure_secrets(tmp_path)
    replace_secrets(tmp_path, {"HALO_SECRET_KEY": "s", "HALO_ENCRYPTION_KEYS": "k"})
    assert ensure_secrets(tmp_path) == {"HALO_SECRET_KEY": "s", "HALO_ENCRYPTION_KEYS": "k"}
    assert json.loads((tmp_path / "secrets.json.before-restore").read_text()) == old


def test_damaged_secrets_are_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(EmbeddedError, match="damaged"):
        ensure_secrets(tmp_path)
