"""Calls to addresses that somebody entered: only to public places, within time and size."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from halo.outgoing.client import Answer, NotReached, fetch


class Site:
    """A server on this machine; `pages` maps a path to (status, headers, body)."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                site.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers, content = site.pages.get(self.path, (404, {}, b"no"))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.path == "/slow":
                    time.sleep(1)
                self.wfile.write(content)

            do_GET = do_POST = _serve

            def log_message(self, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def site(settings: Any) -> Iterator[Site]:
    settings.HALO_OUTGOING_HOSTS = ["127.0.0.1"]
    made = Site()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def get(site: Site) -> Callable[..., Answer]:
    def call(path: str, **kwargs: Any) -> Answer:
        return fetch(site.base + path, deadline=time.monotonic() + 5, **{"max_bytes": 10_000, **kwargs})

    return call


def failure(call: Callable[[], Answer]) -> str:
    with pytest.raises(NotReached) as caught:
        call()
    return caught.value.kind


def test_a_page_is_read_whole(site: Site, get: Callable[..., Answer]) -> None:
    site.pages["/a"] = (200, {"Content-Type": "text/html"}, b"hello")
    answer = get("/a")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"hello", "text/html")


def test_a_packed_page_is_unpacked_but_never_past_the_cap(site: Site, get: Callable[..., Answer]) -> None:
    site.pages["/good"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 5000))
    site.pages["/bomb"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 5_000_000))
    assert get("/good").body == b"x" * 5000
    assert failure(lambda: get("/bomb")) == "too_large"


def test_a_page_past_the_cap_is_refused(site: Site, get: Callable[..., Answer]) -> None:
    site.pages["/long"] = (200, {}, b"x" * 100_000)
    assert failure(lambda: get("/long")) == "too_large"


def test_a_page_that_takes_too_long_is_given_up(site: Site) -> None:
    site.pages["/slow"] = (200, {}, b"late")
    assert failure(lambda: fetch(site.base + "/slow", deadline=time.monotonic() + 0.3, max_bytes=100)) == "timeout"


def test_what_a_call_brings_is_sent(site: Site, get: Callable[..., Answer]) -> None:
    site.pages["/make"] = (201, {}, b"{}")
    get("/make", method="POST", headers={"X-Token": "t", "Content-Type": "application/json"}, body=b'{"a": 1}')
    method, _, headers, body = site.asked[-1]
    assert (method, headers["x-token"], headers["content-type"], body) == ("POST", "t", "application/json", b'{"a": 1}')


def test_redirects_are_followed_as_far_as_asked(site: Site, get: Callable[..., Answer]) -> None:
    site.pages["/old"] = (301, {"Location": "/new"}, b"")
    site.pages["/new"] = (200, {}, b"here")
    site.pages["/loop"] = (302, {"Location": "/loop"}, b"")
    assert get("/old").status == 301
    assert get("/old", redirects=2).url == site.base + "/new"
    assert failure(lambda: get("/loop", redirects=3)) == "broken"


def test_a_redirect_into_private_space_is_refused(site: Site, get: Callable[..., Answer]) -> None:
    site.pages["/out"] = (302, {"Location": "http://169.254.169.254/latest/meta-data"}, b"")
    assert failure(lambda: get("/out", redirects=2)) == "refused"


def test_headers_meant_for_one_site_do_not_follow_to_another(site: Site, get: Callable[..., Answer]) -> None:
    other = site.base.replace("127.0.0.1", "localhost")
    site.pages["/there"] = (302, {"Location": f"{other}/seen"}, b"")
    site.pages["/seen"] = (200, {}, b"")
    site.pages["/same"] = (302, {"Location": "/seen"}, b"")
    get("/same", redirects=1, headers={"X-Token": "t"})
    assert site.asked[-1][2]["x-token"] == "t"
    # `localhost` is not a host that was allowed, so the call ends at the door.
    assert failure(lambda: get("/there", redirects=1, headers={"X-Token": "t"})) == "refused"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1/",
        "https://127.0.0.1.nip.invalid/",
        "https://10.0.0.1/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://user:pass@example.com/",
        "https://[::1]/",
        "nonsense",
        "https://exa mple.com/",
        "https://" + "a" * 9000,
    ],
)
def test_an_address_that_is_none_of_ours_to_call_is_refused(url: str, settings: Any) -> None:
    settings.HALO_OUTGOING_HOSTS = []
    assert failure(lambda: fetch(url, deadline=time.monotonic() + 3, max_bytes=100)) == "refused"


def test_a_header_cannot_be_broken_open(site: Site, get: Callable[..., Answer]) -> None:
    site.pages["/a"] = (200, {}, b"")
    assert failure(lambda: get("/a", headers={"X-Token": "a\r\nX-Evil: 1"})) == "refused"
    assert not site.asked


class Forgetful:
    """Answers the first request of a connection, keeps it open, and hangs up when the second one has come."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self.socket.accept()[0],), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.requests.append(self._read(connection))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            self.requests.append(self._read(connection))

    def _read(self, connection: socket.socket) -> bytes:
        told = connection.recv(65536)
        # Head and body may come apart.
        return told + connection.recv(65536) if told.startswith(b"POST") and told.endswith(b"\r\n\r\n") else told


def test_a_kept_connection_that_closes_under_a_call_costs_nothing_and_repeats_no_post(settings: Any) -> None:
    settings.HALO_OUTGOING_HOSTS = ["127.0.0.1"]
    server = Forgetful()
    for _ in range(3):
        assert fetch(server.base, deadline=time.monotonic() + 5, max_bytes=100).body == b"ok"
    posted = fetch(server.base, deadline=time.monotonic() + 5, max_bytes=100, method="POST", body=b"once")
    server.socket.close()
    assert posted.body == b"ok"
    assert sum(b"once" in request for request in server.requests) == 1
