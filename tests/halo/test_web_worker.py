"""gunicorn with our worker class and settings, in front of a small application: what slow clients cost the others."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings

from halo.embedded.processes import die_with_parent
from halo.web_worker import BODY_SECONDS, HEADER_SECONDS

APPLICATION = """
import time
from halo.embedded.processes import die_with_parent
from halo.web_worker import BODY_DEADLINE, WAS_LET_IN, SlowBody

def application(environ, start_response):
    status, answer = "200 OK", b"fine"
    if environ["PATH_INFO"] == "/sleep":
        time.sleep(float(environ["QUERY_STRING"]))
    elif environ["PATH_INFO"] == "/read":
        assert 0 < environ[BODY_DEADLINE] - time.monotonic() <= 15
        try:
            answer = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        except SlowBody:
            status, answer = "408 Request Timeout", b"slow"
    if environ[WAS_LET_IN]:
        answer = b"seen"
    start_response(status, [("Content-Length", str(len(answer))), ("Content-Type", "text/plain")])
    return [answer]
"""

# The product's settings but for what it does when a worker has started: one kind of request is answered at once.
CONFIGURATION = """
from halo.gunicorn_conf import *
from halo.web_worker import LET_IN

def at_once(arrived):
    request = b"GET /busy HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
    if arrived().startswith(request):
        return len(request), b"HTTP/1.1 503 Busy\\r\\nContent-Length: 4\\r\\n\\r\\nbusy"
    return LET_IN if arrived().startswith(b"GET /let-in") else None

def post_worker_init(worker):
    worker.at_once = at_once
"""


@dataclass
class Server:
    """One gunicorn master."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "small:application", "-c", str(self.folder / "conf.py")],
            cwd=settings.BASE_DIR,
            env={
                **os.environ,
                "HALO_DATA_DIR": str(self.folder),
                "HALO_PORT": str(self.port),
                "PYTHONPATH": os.pathsep.join([str(self.folder), str(settings.BASE_DIR)]),
            },
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
        )
        until = time.monotonic() + 30
        while True:
            try:
                return self.get("/")
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.05)

    def get(self, path: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            assert connection.getresponse().read() == b"fine"
        finally:
            connection.close()

    def connect(self, first: bytes = b"") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        client.sendall(first)
        return client


def receive(client: socket.socket, end: bytes) -> bytes:
    """What the server sends, up to and with `end`."""
    got = b""
    while end not in got:
        more = client.recv(4096)
        assert more, got
        got += more
    return got


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("web")
    (folder / "small.py").write_text(APPLICATION)
    (folder / "conf.py").write_text(CONFIGURATION)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(folder, free.getsockname()[1])
    server.start()
    yield server
    assert server.process is not None
    server.process.terminate()
    server.process.wait(20)


def drip(client: socket.socket, since: float) -> tuple[float, bytes]:
    """Sends a byte every half second until the server ends the connection; returns when that was, and what it said."""
    client.settimeout(0.5)
    said = b""
    while True:
        try:
            got = client.recv(4096)
            said += got
            if not got:
                return time.monotonic() - since, said
        except TimeoutError:
            if not said:
                client.send(b"a")
        except OSError:
            return time.monotonic() - since, said


def test_three_hundred_slow_clients_are_given_up_in_time_and_hold_nobody_up(server: Server) -> None:
    headers = [server.connect(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ") for _ in range(100)]
    bodies = [server.connect(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{") for _ in range(100)]
    silent = [server.connect() for _ in range(100)]
    began = time.monotonic()
    slowest = 0.0
    with ThreadPoolExecutor(len(headers) + len(bodies)) as pool:
        ends = [pool.submit(drip, client, began) for client in headers + bodies]
        while not all(end.done() for end in ends):
            assert time.monotonic() - began < 25
            asked = time.monotonic()
            server.get("/")
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.2)
    assert slowest < 1.0
    for end in ends[:100]:
        seconds, said = end.result()
        assert HEADER_SECONDS - 1 < seconds < HEADER_SECONDS + 3
        assert said == b""
    for end in ends[100:]:
        seconds, said = end.result()
        assert BODY_SECONDS - 1 < seconds < BODY_SECONDS + 3
        assert said.startswith(b"HTTP/1.1 408 ")
    for client in silent:
        assert client.recv(1) == b""
        client.close()


def test_a_body_in_pieces_arrives_whole_and_the_connection_is_used_again(server: Server) -> None:
    client = server.connect(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab")
    for piece in (b"cd", b"ef"):
        time.sleep(0.1)
        client.sendall(piece)
    receive(client, b"abcdef")
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    receive(client, b"fine")


def test_a_user_token_of_eight_kilobytes_fits_and_a_malformed_line_is_a_400(server: Server) -> None:
    client = server.connect(b"GET / HTTP/1.1\r\nHost: a\r\nX-User-Token: " + b"t" * 8192 + b"\r\n\r\n")
    receive(client, b"HTTP/1.1 200 ")
    client = server.connect(b"GET / HTTP/1.1\r\nHost a\r\n\r\n")
    receive(client, b"HTTP/1.1 400 ")


def test_a_killed_master_leaves_its_address_free_while_its_requests_are_answered(server: Server) -> None:
    master = server.process
    assert master is not None
    client = server.connect(b"GET /sleep?3 HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(0.3)
    master.send_signal(signal.SIGKILL)
    master.wait()
    server.start()
    receive(client, b"fine")


def test_a_stopping_server_answers_what_it_has_accepted(server: Server) -> None:
    master = server.process
    assert master is not None
    client = server.connect(b"GET /sleep?2 HTTP/1.1\r\nHost: a\r\n\r\n")
    silent = server.connect()
    time.sleep(0.3)
    master.terminate()
    receive(client, b"fine")
    master.wait(30)
    silent.close()
    server.start()


def test_what_is_answered_at_once_leaves_the_connection_to_the_next_request(server: Server) -> None:
    busy, fine = b"GET /busy HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with server.connect(busy) as client:
        assert receive(client, b"busy").startswith(b"HTTP/1.1 503")
        client.sendall(fine)
        assert receive(client, b"fine").startswith(b"HTTP/1.1 200")
        client.sendall(busy)
        assert receive(client, b"busy").startswith(b"HTTP/1.1 503")
        # One behind the other; what a thread has read along with its own request it serves as well.
        client.sendall(busy + fine[:9])
        assert receive(client, b"busy").startswith(b"HTTP/1.1 503")
        client.sendall(fine[9:] + busy)
        assert receive(client, b"fine").startswith(b"HTTP/1.1 200")


def test_a_request_knows_whether_it_was_let_in_and_the_one_behind_it_was_not(server: Server) -> None:
    let_in, fine = b"GET /let-in HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with server.connect(let_in) as client:
        receive(client, b"seen")
        client.sendall(fine)
        receive(client, b"fine")
        client.sendall(let_in + let_in)
        assert receive(client, b"fine").count(b"seen") == 1


def test_what_arrives_in_pieces_is_served_as_usual(server: Server) -> None:
    with server.connect(b"GET /busy HT") as client:
        time.sleep(0.2)
        client.sendall(b"TP/1.1\r\nHost: x\r\n\r\n")
        assert receive(client, b"fine").startswith(b"HTTP/1.1 200")


def test_who_leaves_after_asking_disturbs_nobody(server: Server) -> None:
    for _ in range(20):
        server.connect(b"GET /busy HTTP/1.1\r\nHost: x\r\n\r\n").close()
        server.connect().close()
    server.get("/")
