"""Whether who sent a request still waits for the rest of its answer, asked of the connection itself."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from django.http import HttpRequest

_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL


def never() -> bool:
    """Of a reader of whom nothing is known."""
    return False


def has_hung_up(request: HttpRequest) -> Callable[[], bool]:
    """Tells, whenever it is called, whether the client of this request has closed its side; never waits."""
    connection: socket.socket | None = request.META.get("gunicorn.socket")
    return never if connection is None else lambda: _is_closed(connection)


def _is_closed(connection: socket.socket) -> bool:
    try:
        poll = select.poll()
        poll.register(connection, select.POLLRDHUP)
        return any(event & _GONE for _, event in poll.poll(0))
    except (OSError, ValueError):
        # Its thread has closed it meanwhile.
        return True
