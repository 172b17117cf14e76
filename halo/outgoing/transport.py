"""HTTP/1.1 for calls that go out, in which every raw read and write is held to the call's deadline and byte cap.

httpx2's own transport times each read by itself, so a byte every two seconds keeps a call alive for ever; and its pool
walks all connections for each request: with 2,000 calls in flight it took 6.8 ms of CPU a call, where this takes 1.8.
"""

from __future__ import annotations

import functools
import http.client
import io
import os
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2

from halo.outgoing.door import Door, Refused

MAX_BYTES = 4_000_000  # of one answer, headers and framing included, where the call names no other cap
IDLE_SECONDS = 60.0
MAX_IDLE = 1024  # connections kept per origin
READ_SIZE = 65536

# SECURITY: nothing else leaves with a model call. The SDK adds telemetry, cookies that an endpoint has set, and
# whatever the process' environment holds for OpenAI (OPENAI_CUSTOM_HEADERS), which is not every endpoint's business.
_SENT_HEADERS = ("host", "authorization", "content-type", "accept", "user-agent")

Origin = tuple[bool, str, int]


class Refusal(httpx2.TransportError):
    """The call was not made: this endpoint may not be reached."""


class TooMuch(httpx2.TransportError):
    """The answer is longer than the byte cap, or packed, so that its length is not known before it is unpacked."""


@functools.cache
def _transport_of(pid: int, door: Door) -> Transport:
    return Transport(door)


def shared_transport(door: Door) -> Transport:
    """The one transport of this process (a forked child gets its own) behind this door."""
    return _transport_of(os.getpid(), door)


class Transport(httpx2.BaseTransport):
    """For httpx2.Client: any number of calls at once, idle connections kept.

    A request's *read* timeout is the time that the whole call has, from connecting to the last byte. The response's
    extension `hurry` is a function that takes an earlier deadline (time.monotonic()) for what is still to be read.
    A request's extension `max_bytes` is the cap on its answer; with `as_given` all of its headers are sent, and the
    answer may be packed.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._idle: dict[Origin, deque[tuple[float, _Connection]]] = {}
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        deadline = time.monotonic() + request.extensions["timeout"]["read"]
        url = request.url
        encrypted = url.scheme == "https"
        origin = (encrypted, url.raw_host.decode(), url.port or (443 if encrypted else 80))
        as_given = request.extensions.get("as_given", False)
        if as_given:
            headers = dict(request.headers)
        else:
            headers = {name: request.headers[name] for name in _SENT_HEADERS if name in request.headers}
            headers["accept-encoding"] = "identity"
        body = request.read()
        # A kept connection may be closed by the other side in this very moment. A call that must not be made twice
        # begins on a fresh one, where nothing but the call itself can fail.
        repeatable = not as_given or request.method == "GET"
        kept = self._take(origin) if repeatable else None
        connection = kept or self._open(origin, deadline)
        try:
            try:
                response = _exchange(connection, request, body, headers, deadline)
            except httpx2.RemoteProtocolError:
                if kept is None or connection.wire.received:
                    raise
                connection.wire.hang_up()
                connection = self._open(origin, deadline)
                response = _exchange(connection, request, body, headers, deadline)
            if not as_given and response.getheader("content-encoding", "identity").lower() != "identity":
                raise TooMuch("the answer is compressed, though that was not asked for")
        except BaseException:
            connection.wire.hang_up()
            raise
        return httpx2.Response(
            response.status,
            # As bytes again: http.client decodes them as Latin-1, httpx2 would encode them as ASCII.
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.getheaders()],
            stream=_Body(self, origin, connection, response),
            extensions={"hurry": connection.wire.hurry},
        )

    def close(self) -> None:
        """Nothing: clients come and go, the transport stays."""

    def keep(self, origin: Origin, connection: _Connection) -> None:
        """Take back a connection whose response has been read to its end."""
        with self._lock:
            idle = self._idle.setdefault(origin, deque())
            idle.append((time.monotonic() + IDLE_SECONDS, connection))
            surplus = idle.popleft()[1] if len(idle) > MAX_IDLE else None
        if surplus:
            surplus.wire.hang_up()

    def _take(self, origin: Origin) -> _Connection | None:
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                expires, connection = idle.pop()  # the youngest
            if expires > time.monotonic() and not connection.wire.readable():
                return connection
            connection.wire.hang_up()

    def _open(self, origin: Origin, deadline: float) -> _Connection:
        self._drop_expired()
        encrypted, host, port = origin
        try:
            sock = self._door.connect(host, port, tls=self._tls_context() if encrypted else None, deadline=deadline)
        except Refused as error:
            raise Refusal(str(error)) from None
        except OSError as error:
            if time.monotonic() >= deadline:
                raise httpx2.ReadTimeout("past the deadline") from error
            raise httpx2.ConnectError("no connection") from error
        return _Connection(_Wire(sock), host, port)

    def _drop_expired(self) -> None:
        now, expired = time.monotonic(), []
        with self._lock:
            for idle in self._idle.values():
                while idle and idle[0][0] <= now:
                    expired.append(idle.popleft()[1])
        for connection in expired:
            connection.wire.hang_up()

    def _tls_context(self) -> ssl.SSLContext:
        # Two threads may both make one; the later one stays.
        if self._tls is None:
            context = httpx2.create_ssl_context()
            context.set_alpn_protocols(["http/1.1"])
            self._tls = context
        return self._tls


def _exchange(
    connection: _Connection, request: httpx2.Request, body: bytes, headers: dict[str, str], deadline: float
) -> http.client.HTTPResponse:
    """Sends the request and reads the head of its answer."""
    with _as_httpx2_errors():
        connection.wire.expect(deadline, request.extensions.get("max_bytes", MAX_BYTES))
        # A server may refuse a body before it has all arrived, and its answer says why.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(request.method, request.url.raw_path.decode("ascii"), body, headers)
        return connection.getresponse()


class _Body(httpx2.SyncByteStream):
    """The rest of a response, as it comes in."""

    def __init__(
        self, transport: Transport, origin: Origin, connection: _Connection, response: http.client.HTTPResponse
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._connection = connection
        self._response = response
        self._reusable = False
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        response = self._response
        try:
            with _as_httpx2_errors():
                while data := response.read1(READ_SIZE):
                    yield data
                if response.length:
                    raise ConnectionError("the answer is shorter than it said")
        except BaseException:
            # Nobody closes a response whose reading has failed.
            self.close()
            raise
        self._reusable = not response.will_close

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._response.close()
        if self._reusable:
            self._transport.keep(self._origin, self._connection)
        else:
            self._connection.wire.hang_up()


class _Connection(http.client.HTTPConnection):
    """Over a wire that is already there."""

    def __init__(self, wire: _Wire, host: str, port: int) -> None:
        super().__init__(host, port)
        self.wire = wire
        self.auto_open = 0
        self.sock = wire  # http.client calls makefile, sendall and close only


class _Wire:
    """A socket for http.client, each read and write of which ends by the deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._deadline = 0.0
        self._bytes_left = 0
        self.received = False

    def expect(self, deadline: float, max_bytes: int) -> None:
        """Begin a call."""
        self._deadline = deadline
        self._bytes_left = max_bytes
        self.received = False  # anything of the answer

    def hurry(self, deadline: float) -> None:
        """Bring the deadline forward."""
        self._deadline = min(self._deadline, deadline)

    def receive_into(self, buffer: memoryview) -> int:
        self._allow()
        size = self._sock.recv_into(buffer)
        self._bytes_left -= size
        self.received = self.received or size > 0
        if self._bytes_left < 0:
            raise TooMuch("the answer is too long")
        return size

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._allow()
            left = left[self._sock.send(left) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def readable(self) -> bool:
        """Whether there is something to read: on an idle connection that is its end."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Nothing: http.client closes before it reads an answer that ends the connection."""

    def hang_up(self) -> None:
        self._sock.close()

    def _allow(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("past the deadline")
        self._sock.settimeout(left)


class _Reader(io.RawIOBase):
    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader passes
        return self._wire.receive_into(buffer)


@contextmanager
def _as_httpx2_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpx2.ReadTimeout("past the deadline") from error
    except (OSError, http.client.HTTPException) as error:
        raise httpx2.RemoteProtocolError("the connection failed") from error
