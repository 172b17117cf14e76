"""Where the embedded servers are, computed from the data folder's path alone."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

# A socket's path has 107 bytes at most; PostgreSQL appends "/.s.PGSQL.5432" to its folder.
LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432")


class EmbeddedError(Exception):
    """A sentence for the person at the terminal, with the way out in it."""


@dataclass(frozen=True)
class Endpoints:
    """The embedded servers of one data folder, and the folders of what `up` runs."""

    database_url: str
    redis_url: str
    run_dir: Path
    log_dir: Path
    socket_dir: Path
    valkey_socket: Path


def servers_home(data_dir: Path) -> Path:
    """The folder that holds the servers' data, links resolved; it need not exist."""
    return Path(os.path.realpath(data_dir / "servers"))


def locate(data_dir: Path) -> Endpoints:
    """Endpoints of `data_dir`'s servers, whether they run or not; creates nothing and connects to nothing."""
    resolved = Path(os.path.realpath(data_dir))
    sockets = resolved / "servers" / "run"
    if len(os.fsencode(sockets)) > LONGEST_SOCKET_FOLDER:
        sockets = Path("/tmp") / f"halo-{hashlib.sha256(os.fsencode(resolved)).hexdigest()[:16]}"  # noqa: S108
        home = servers_home(data_dir)
        # SECURITY: anyone may create a folder in /tmp; only the owner of the data is believed to serve it.
        if home.exists() and os.path.lexists(sockets) and sockets.lstat().st_uid != home.stat().st_uid:
            raise EmbeddedError(f"{sockets} belongs to another user. Remove it, or use a shorter data folder path.")
    valkey_socket = sockets / "valkey.sock"
    return Endpoints(
        database_url=f"postgres://halo@/{quote(str(sockets))}/halo",
        redis_url=f"unix://{quote(str(valkey_socket))}",
        run_dir=data_dir / "run",
        log_dir=data_dir / "logs",
        socket_dir=sockets,
        valkey_socket=valkey_socket,
    )
