"""Who runs the servers, and the private folder that holds their data."""

from __future__ import annotations

import errno
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halo.embedded.keys import make_private
from halo.embedded.places import EmbeddedError, servers_home

SYSTEM_USER = "halo-db"
STATE = Path("/var/lib/halo")


@dataclass(frozen=True)
class Account:
    """The system user that the servers run as where Halo itself runs as root."""

    uid: int
    gid: int

    def popen_options(self) -> dict[str, Any]:
        """Keyword arguments that make `subprocess` run something as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def run_options(account: Account | None) -> dict[str, Any]:
    """`subprocess` keyword arguments for the servers' user, none where that is the present one."""
    return account.popen_options() if account else {}


def servers_account(data_dir: Path) -> Account | None:
    """The user for the servers of `data_dir`: None for the present one, as root the data's owner or `halo-db`."""
    home = servers_home(data_dir)
    try:
        if os.geteuid() != 0:
            pwd.getpwuid(os.geteuid())  # initdb insists on a name
            return None
        owner = home.stat().st_uid if home.exists() else 0
        entry = pwd.getpwuid(owner) if owner else _system_user()
    except KeyError as error:
        raise EmbeddedError(
            "PostgreSQL needs a user with a name, and this user id has none in /etc/passwd. "
            "Run Halo as a named user, or set DATABASE_URL and REDIS_URL to servers of your own."
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)


def make_run_folders(data_dir: Path) -> None:
    """The folders of pid files and logs, ours alone."""
    make_private(data_dir)
    with _explained():
        for folder in (data_dir / "run", data_dir / "logs"):
            folder.mkdir(mode=0o700, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "", str(folder))


def make_servers_home(data_dir: Path, account: Account | None) -> Path:
    """The private folder of the servers' data, links resolved."""
    link = data_dir / "servers"
    home = servers_home(data_dir)
    with _explained():
        if link.is_symlink() and not home.exists():
            raise EmbeddedError(
                f"{link} points to {home}, which is gone: the database of this data folder is lost. "
                f"Remove the link to start with an empty one, then `manage.py restore` a backup."
            )
        if not home.exists():
            if account and not _reaches(account, data_dir):
                STATE.mkdir(mode=0o755, exist_ok=True)
                home = STATE / f"servers-{secrets.token_hex(8)}"
                link.symlink_to(home)
            make_own_folder(home, account)
        for folder in (home, home / "run", home / "valkey"):
            make_own_folder(folder, account)
    return home


def make_own_folder(folder: Path, account: Account | None) -> None:
    """A folder that only the servers' user can enter; refuses one that belongs to somebody else."""
    if not os.path.lexists(folder):
        folder.mkdir(mode=0o700)
        if account:
            os.chown(folder, account.uid, account.gid)
    owner = account.uid if account else os.geteuid()
    found = folder.lstat()
    # SECURITY: whoever owns this folder can put a server of theirs behind our sockets' names.
    if folder.is_symlink() or not folder.is_dir() or found.st_uid != owner:
        raise EmbeddedError(f"{folder} is not a folder of the user that runs the servers. Move it away.")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise EmbeddedError(
            f"{error.filename} is not this user's. Run Halo as the user that it was first run as, "
            f"or name another folder with --data-dir."
        ) from error


def _reaches(account: Account, folder: Path) -> bool:
    check = ["/bin/sh", "-c", 'test -x "$0"', str(folder)]
    return subprocess.run(check, cwd="/", check=False, **account.popen_options()).returncode == 0


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    if shutil.which("useradd"):
        command = ["useradd", "--system", "--user-group", "--no-create-home"]
        command += ["--home-dir", str(STATE), "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    else:  # busybox
        command = ["adduser", "-S", "-D", "-H", "-h", str(STATE), "-s", "/sbin/nologin", SYSTEM_USER]
    try:
        made = subprocess.run(command, check=False, capture_output=True, text=True)
        problem = made.stderr.strip()
    except FileNotFoundError as error:
        problem = str(error)
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError as error:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be made ({problem}). "
            f"Make it, or run Halo as an ordinary user."
        ) from error
