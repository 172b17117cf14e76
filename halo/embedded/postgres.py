"""PostgreSQL out of its wheel."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from halo.embedded.accounts import Account, make_own_folder, run_options
from halo.embedded.places import EmbeddedError, Endpoints
from halo.embedded.processes import Program, command_line, end, listener, read_pid

# The application's role is no superuser, and pgvector may be created by one only: so every database is born with it.
# SECURITY: a flaw in a query of ours can neither read the server's files nor start programs.
_FIRST_STATEMENTS = "CREATE EXTENSION vector;\nCREATE ROLE halo LOGIN CREATEDB;\nCREATE DATABASE halo OWNER halo;\n"
SOCKET = ".s.PGSQL.5432"
_PROTOCOL_3 = 3 << 16
_TERMINATE = b"X\0\0\0\4"
_THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}


@dataclass
class Postgres:
    """The cluster of one data folder."""

    home: Path
    programs: Path
    endpoints: Endpoints
    account: Account | None
    throw_away: bool = False
    title: ClassVar[str] = "PostgreSQL"

    @property
    def data(self) -> Path:
        return self.home / "postgres"

    def prepare(self) -> None:
        """Makes the cluster at the first start; refuses another major version's."""
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            self._forget_crash()
        else:
            self._create()

    def program(self, env: dict[str, str]) -> Program:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.endpoints.socket_dir}"',
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "jit": "off",
            "log_min_messages": "warning",
            **(_THROW_AWAY if self.throw_away else {}),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=[str(self.programs / "postgres"), "-D", str(self.data), *options],
            log=self.endpoints.log_dir / "postgres.log",
            pid_file=self.endpoints.run_dir / "postgres.pid",
            cwd=self.home,
            env=env,
            account=self.account,
            # SIGINT is what `pg_ctl -m fast stop` sends: roll back, disconnect, write everything, end.
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
            grace=30.0,
        )

    def is_ready(self) -> bool:
        """Whether it lets the application in: it already listens while it still recovers."""
        hello = b"user\0halo\0database\0halo\0\0"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            try:
                client.connect(str(self.endpoints.socket_dir / SOCKET))
                client.sendall(struct.pack("!ii", 8 + len(hello), _PROTOCOL_3) + hello)
                let_in = client.recv(1) == b"R"
                client.sendall(_TERMINATE)
            except OSError:
                return False
        return let_in

    def end_orphan(self) -> bool:
        """Stops the server that a killed `up` left; True where there was one."""
        listening = listener(self.endpoints.socket_dir / SOCKET)
        claimed = {read_pid(self.endpoints.run_dir / "postgres.pid"), read_pid(self.data / "postmaster.pid"), listening}
        mine = [pid for pid in claimed if pid and (pid == listening or self._is_ours(pid))]
        end(mine, (signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5))
        return bool(mine)

    def _is_ours(self, pid: int) -> bool:
        return f"postgres -D {self.data} " in command_line(pid)

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        ours = self._run([str(self.programs / "postgres"), "-V"]).split()[-1].split(".")[0]
        if found != ours:
            raise EmbeddedError(
                f"{self.data} holds the data of PostgreSQL {found}, and this Halo brings PostgreSQL {ours}. "
                f"Run the Halo release that wrote it and `manage.py backup FILE` there; then move the data folder "
                f"away, and `manage.py restore FILE` with this release."
            )

    def _create(self) -> None:
        unfinished = self.home / "postgres.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        make_own_folder(unfinished, self.account)
        # Umlauts need UTF8 whatever the locale of this machine is; the builtin provider sorts alike everywhere.
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        access = ["--username=postgres", "--auth-local=trust", "--auth-host=reject"]
        sync = ["--no-sync"] if self.throw_away else []
        self._run([str(self.programs / "initdb"), "-D", str(unfinished), "--no-instructions", *locale, *access, *sync])
        single = [str(self.programs / "postgres"), "--single", "-D", str(unfinished), "-c", "exit_on_error=true"]
        self._run([*single, "template1"], _FIRST_STATEMENTS)
        unfinished.rename(self.data)

    def _run(self, command: list[str], text: str = "") -> str:
        ran = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home,
            # PGHOST, PGOPTIONS, LC_ALL and their like must not reach into our own cluster.
            env={"PATH": os.environ.get("PATH", os.defpath)},
            **run_options(self.account),
        )
        if ran.returncode != 0:
            raise EmbeddedError(f"{Path(command[0]).name} failed: {(ran.stderr or ran.stdout).strip()}")
        return ran.stdout

    def _forget_crash(self) -> None:
        """After a crash the noted process id may be another program's by now, and PostgreSQL would refuse to start."""
        note = self.data / "postmaster.pid"
        pid = read_pid(note)
        if pid and command_line(pid) and not self._is_ours(pid):
            # PostgreSQL ignores a note of its own parent. The rest of the note stays: by it the server still
            # recognises, and waits for, backends of the one that crashed.
            note.write_text("\n".join([str(os.getpid()), *note.read_text().split("\n")[1:]]))
        if listener(self.endpoints.socket_dir / SOCKET) is None:
            (self.endpoints.socket_dir / f"{SOCKET}.lock").unlink(missing_ok=True)
