"""Both servers of a data folder as one thing: made ready, started, stopped; and the lock that keeps others off."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from halo.embedded.accounts import make_own_folder, make_run_folders, make_servers_home, servers_account
from halo.embedded.binaries import find_binaries
from halo.embedded.places import EmbeddedError, Endpoints, locate
from halo.embedded.postgres import Postgres
from halo.embedded.processes import Program, last_words
from halo.embedded.valkey import Valkey

START_SECONDS = 60.0


class Servers:
    """The wanted servers of a data folder whose lock the caller holds; `prepare` first."""

    def __init__(self, data_dir: Path, *, postgres: bool = True, valkey: bool = True, throw_away: bool = False) -> None:
        self.data_dir = data_dir
        self.wanted = {"postgres": postgres, "valkey": valkey}
        self.throw_away = throw_away
        self.orphans: list[str] = []
        self.parts: list[Postgres | Valkey] = []

    def prepare(self) -> Endpoints:
        """Folders, programs and cluster, orphans of a killed `up` stopped; starts nothing."""
        if not any(self.wanted.values()):
            return locate(self.data_dir)
        account = servers_account(self.data_dir)
        home = make_servers_home(self.data_dir, account)
        endpoints = locate(self.data_dir)
        make_own_folder(endpoints.socket_dir, account)
        # Where `servers` is a link, the servers' user cannot go the way that we go.
        sockets = Path(os.path.realpath(endpoints.socket_dir))
        endpoints = replace(endpoints, socket_dir=sockets, valkey_socket=sockets / endpoints.valkey_socket.name)
        found = find_binaries(account)
        if self.wanted["postgres"]:
            self.parts.append(Postgres(home, found.postgres, endpoints, account, self.throw_away))
        if self.wanted["valkey"]:
            self.parts.append(Valkey(home, found.valkey, endpoints, account, self.throw_away))
        for part in self.parts:
            if part.end_orphan():
                self.orphans.append(part.title)
            if isinstance(part, Postgres):
                part.prepare()
        return endpoints

    def programs(self) -> list[Program]:
        # Nothing of our environment, which may hold secrets and PG* variables, is the servers' business.
        return [part.program({"PATH": os.environ.get("PATH", os.defpath)}) for part in self.parts]

    def are_ready(self) -> bool:
        return all(part.is_ready() for part in self.parts)


@contextmanager
def holding(data_dir: Path, note: str) -> Iterator[None]:
    """Holds the data folder for one `up`; raises with the holder's note where somebody else does."""
    descriptor = os.open(data_dir / "run" / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 500).decode(errors="replace").strip()
            raise EmbeddedError(f"Halo already runs on the data folder {data_dir}: {holder}.") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, note.encode())
        yield
    finally:
        os.close(descriptor)


@contextmanager
def running(data_dir: Path, *, valkey: bool = True, throw_away: bool = False) -> Iterator[Endpoints]:
    """The servers of a data folder for the duration of the block, without `up`."""
    make_run_folders(data_dir)
    with holding(data_dir, f"process {os.getpid()}, which borrows its servers for a moment"):
        servers = Servers(data_dir, valkey=valkey, throw_away=throw_away)
        endpoints = servers.prepare()
        programs = servers.programs()
        try:
            for program in programs:
                program.start()
            until = time.monotonic() + START_SECONDS
            while not servers.are_ready():
                for program in programs:
                    if not program.is_running() or time.monotonic() > until:
                        raise EmbeddedError(f"{program.name} did not start:\n{last_words(program.log)}")
                time.sleep(0.02)
            yield endpoints
        finally:
            stop(programs)


def stop(programs: list[Program]) -> None:
    """Asks all to stop, waits for each as long as it may take, and ends those that did not."""
    started = [program for program in programs if program.process is not None]
    for program in started:
        program.ask_to_stop()
    asked = time.monotonic()
    for program in started:
        while program.is_running() and time.monotonic() < asked + program.grace:
            time.sleep(0.02)
        program.kill()
        program.forget()


@contextmanager
def throw_away_servers() -> Iterator[Endpoints]:
    """Servers that keep nothing and are gone afterwards, for tests."""
    with throw_away_folder() as folder, running(folder, throw_away=True) as endpoints:
        yield endpoints


@contextmanager
def throw_away_folder() -> Iterator[Path]:
    """A data folder that the servers' user can reach, gone afterwards; those of killed test runs are removed too."""
    parent = Path(tempfile.gettempdir())
    for left in parent.glob("halo-test-*"):
        owner = left.name.split("-")[2]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"halo-test-{os.getpid()}-", dir=parent))
    try:
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
