"""Where `manage.py up` listens for visitors: HALO_BIND, as gunicorn writes it."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

from halo.embedded import EmbeddedError


def check_is_free(bind: str) -> None:
    """Raises EmbeddedError where `bind` is no address or another program listens there; Unix sockets are replaced."""
    if bind.startswith("unix:"):
        return
    host, _, port = bind.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except (OSError, ValueError, OverflowError) as error:
            raise EmbeddedError(
                f"it cannot listen on {bind} ({error}). Choose another address with --port, HALO_PORT or HALO_BIND."
            ) from error


def is_answered(bind: str) -> bool:
    """Whether Halo answers there, and says that it is ready; of a Unix socket whether it exists."""
    if bind.startswith("unix:"):
        return Path(bind.removeprefix("unix:")).exists()
    host, _, port = bind.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request("GET", "/health/ready", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
