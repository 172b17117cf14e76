"""One HTTP call to an address that somebody entered: through the door, within a time, a size and a few redirects."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx2
from django.conf import settings

from halo.errors import HaloError
from halo.outgoing.door import Door
from halo.outgoing.transport import Refusal, TooMuch, shared_transport

USER_AGENT = "Halo/0.1 (support desk)"
MAX_URL = 8000
HEADER_BYTES = 64 * 1024  # of an answer, beside its body
_REDIRECTS = (301, 302, 303, 307, 308)
_NO_BODY = b""


class NotReached(HaloError):
    """The call brought no answer. `kind`: `refused` (not sent), `timeout`, `too_large`, `broken` (anything else).

    Only after `refused` is it certain that the receiver knows nothing of the call.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__("not_reached", message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `url` after redirects, header names in lower case, the body whole and unpacked."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


def public_door() -> Door:
    """https and public addresses only, but for the hosts in `settings.HALO_OUTGOING_HOSTS`."""
    hosts = (host.lower() for host in settings.HALO_OUTGOING_HOSTS)
    return Door(public_only=True, exempt=frozenset(hosts))


def fetch(
    url: str,
    *,
    deadline: float,
    max_bytes: int,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = _NO_BODY,
    redirects: int = 0,
) -> Answer:
    """The answer of any status to one call; `deadline` (time.monotonic()) holds from the look-up to the last byte.

    `max_bytes` is the longest body, unpacked. Redirects are followed for GET only, each through the door again, and to
    another origin without `headers`. Raises NotReached.
    """
    door, origin = public_door(), _origin(url)
    for left in range(redirects, -1, -1):
        answer = _once(url, door, method, dict(headers or {}), body, deadline, max_bytes)
        target = answer.headers.get("location")
        if answer.status not in _REDIRECTS or not target or method != "GET" or not redirects:
            return answer
        if not left:
            raise NotReached("broken", "There were too many redirects.")
        url = urljoin(url, target)
        if _origin(url) != origin:
            # SECURITY: what was meant for one site is not told to another.
            headers = {}
    raise AssertionError("the last answer returns or raises")


def _once(
    url: str, door: Door, method: str, headers: dict[str, str], body: bytes, deadline: float, max_bytes: int
) -> Answer:
    try:
        address = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError):
        raise NotReached("refused", "The address is not valid.") from None
    if address.scheme not in ("http", "https") or not address.host or address.userinfo or len(url) > MAX_URL:
        raise NotReached("refused", "The address must be http(s), with a host and without credentials.")
    left = deadline - time.monotonic()
    if left <= 0:
        raise NotReached("refused", "There was no time left for the call.")
    try:
        request = httpx2.Request(
            method,
            address,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **headers},
            content=body or None,
            extensions={"timeout": {"read": left}, "max_bytes": max_bytes + HEADER_BYTES, "as_given": True},
        )
        response = shared_transport(door).handle_request(request)
    except (UnicodeError, ValueError):
        raise NotReached("refused", "The call's headers hold what no header may.") from None
    except httpx2.TransportError as error:
        raise _failure(error) from None
    try:
        raw = b"".join(response.stream)  # type: ignore[arg-type]  # a synchronous stream, as the transport makes it
    except httpx2.TransportError as error:
        raise _failure(error) from None
    finally:
        response.close()
    names = {name.lower(): value for name, value in response.headers.items()}
    return Answer(url, response.status_code, names, _unpacked(raw, names.get("content-encoding", ""), max_bytes))


def _unpacked(raw: bytes, coding: str, max_bytes: int) -> bytes:
    if coding.lower() in ("", "identity"):
        if len(raw) > max_bytes:
            raise NotReached("too_large", "The answer is too long.")
        return raw
    if coding.lower() not in ("gzip", "x-gzip"):
        raise NotReached("broken", f"The answer is packed as {coding[:20]}, which was not asked for.")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        # SECURITY: a few packed bytes may unpack to gigabytes; reading stops at the size that was asked for.
        body = unpacker.decompress(raw, max_bytes)
    except zlib.error:
        raise NotReached("broken", "The packed answer cannot be unpacked.") from None
    if unpacker.unconsumed_tail:
        raise NotReached("too_large", "The answer is too long.")
    return body


def _failure(error: httpx2.TransportError) -> NotReached:
    if isinstance(error, Refusal):
        return NotReached("refused", "The address leads where calls may not go: only https to public addresses.")
    if isinstance(error, TooMuch):
        return NotReached("too_large", "The answer is too long.")
    if isinstance(error, httpx2.TimeoutException):
        return NotReached("timeout", "There was no answer in time.")
    if isinstance(error, httpx2.ConnectError):
        return NotReached("refused", "There was no connection.")
    return NotReached("broken", "The connection broke before the answer was whole.")


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        return "", "", None
