"""The installation's secrets in the data folder, for installations that give none in the environment."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from halo.embedded.places import EmbeddedError

NAMES = ("HALO_SECRET_KEY", "HALO_ENCRYPTION_KEYS")


def ensure_secrets(data_dir: Path) -> dict[str, str]:
    """The secrets kept in `data_dir`, made at the first call; processes that call at once get the same ones."""
    path = data_dir / "secrets.json"
    try:
        if not path.exists():
            make_private(data_dir)
            with _locked(data_dir):
                if not path.exists():
                    _write(path, {NAMES[0]: secrets.token_urlsafe(50), NAMES[1]: _fernet_key()})
        kept = json.loads(path.read_text())
        return {name: str(kept[name]) for name in NAMES}
    except PermissionError as error:
        raise EmbeddedError(f"{path} belongs to another user: run this as the user that runs Halo.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EmbeddedError(
            f"{path} is damaged. Restore it from a backup: without its keys the stored secrets cannot be read."
        ) from error


def replace_secrets(data_dir: Path, values: Mapping[str, str]) -> None:
    """Writes the secrets of a backup; the ones replaced stay beside them as secrets.json.before-restore."""
    path = data_dir / "secrets.json"
    make_private(data_dir)
    with _locked(data_dir):
        if path.exists():
            shutil.copy2(path, path.with_name("secrets.json.before-restore"))
        _write(path, {name: values[name] for name in NAMES})


def make_private(data_dir: Path) -> None:
    """Creates the data folder; as root others may pass through it, as the servers' own user must."""
    if not data_dir.exists():
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
        except OSError as error:
            raise EmbeddedError(f"Cannot create the data folder {data_dir}: {error.strerror}.") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, values: Mapping[str, str]) -> None:
    # SECURITY: mkstemp makes the file 0600; it appears under its name only when it is whole.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".secrets-")
    with os.fdopen(descriptor, "w") as file:
        json.dump(dict(values), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(name, path)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()
