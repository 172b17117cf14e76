"""The one place where a request's body is read: against a size limit and a deadline."""

from __future__ import annotations

import time
from typing import Protocol

from django.http import HttpRequest

from halo.errors import HaloError, InvalidRequest

MAX_BYTES = 8 * 1024 * 1024
SECONDS = 15.0
_CHUNK = 64 * 1024


class TooLarge(HaloError):
    """413: the body is over the limit."""

    status = 413

    def __init__(self) -> None:
        super().__init__("too_large", f"The body is larger than {MAX_BYTES // (1024 * 1024)} MB.")


class UnsupportedMediaType(HaloError):
    """415: not plain `application/json` in UTF-8."""

    status = 415

    def __init__(self) -> None:
        super().__init__("unsupported_media_type", "Send the body as application/json in UTF-8, not encoded.")


def announced_length(request: HttpRequest) -> int:
    """`Content-Length`, 0 where there is none; over the limit is TooLarge before a byte is read."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    length = int(announced) if announced.isascii() and announced.isdecimal() else 0
    if length > MAX_BYTES:
        raise TooLarge
    return length


def check_media_type(content_type: str, content_encoding: str) -> None:
    """Refuses everything but `application/json`, with `charset=utf-8` or none, and no content encoding."""
    if content_encoding.strip():
        raise UnsupportedMediaType
    main, *parameters = [part.strip() for part in content_type.split(";")]
    if main.lower() != "application/json":
        raise UnsupportedMediaType
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType


class Readable(Protocol):
    """A request, or the server's own stream of its body."""

    def read(self, size: int = -1, /) -> bytes: ...


def read(stream: Readable, *, announced: int) -> bytes:
    """All bytes of `stream`; over the size limit is TooLarge, late or less than announced is InvalidRequest."""
    ends_at = time.monotonic() + SECONDS
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > MAX_BYTES:
                raise TooLarge
            if time.monotonic() > ends_at:
                raise InvalidRequest("The body did not arrive in time.")
            chunks.append(chunk)
    except HaloError:
        raise
    except Exception:
        # The server's stream raises its own: a client that dripped, hung up in mid-body, or broke its chunks.
        raise InvalidRequest("The body did not arrive whole.") from None
    if size < announced:
        raise InvalidRequest("The body did not arrive whole.")
    return b"".join(chunks)
