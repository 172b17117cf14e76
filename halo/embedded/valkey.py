"""Valkey out of its wheel."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from halo.embedded.accounts import Account
from halo.embedded.places import Endpoints
from halo.embedded.processes import Program, command_line, end, listener, read_pid


@dataclass
class Valkey:
    """The key-value server of one data folder."""

    home: Path
    server: Path
    endpoints: Endpoints
    account: Account | None
    throw_away: bool = False
    title: ClassVar[str] = "Valkey"

    def program(self, env: dict[str, str]) -> Program:
        settings = {
            "port": "0",
            "unixsocket": str(self.endpoints.valkey_socket),
            "unixsocketperm": "700",
            "dir": str(self.home / "valkey"),
            "appendonly": "no" if self.throw_away else "yes",
            "save": "",
            "databases": "64",
            "tcp-backlog": "2048",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return Program(
            name="valkey",
            argv=[str(self.server), *options],
            log=self.endpoints.log_dir / "valkey.log",
            pid_file=self.endpoints.run_dir / "valkey.pid",
            cwd=self.home,
            env=env,
            account=self.account,
            orphan_signal=signal.SIGTERM,
            grace=10.0,
        )

    def is_ready(self) -> bool:
        """Whether it answers, its data loaded."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            try:
                client.connect(str(self.endpoints.valkey_socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def end_orphan(self) -> bool:
        """Stops the server that a killed `up` left; True where there was one."""
        listening = listener(self.endpoints.valkey_socket)
        claimed = {read_pid(self.endpoints.run_dir / "valkey.pid"), listening}
        mine = [pid for pid in claimed if pid and (pid == listening or self._is_ours(pid))]
        end(mine, (signal.SIGTERM, 10), (signal.SIGKILL, 5))
        return bool(mine)

    def _is_ours(self, pid: int) -> bool:
        return str(self.endpoints.valkey_socket) in command_line(pid)
