"""gunicorn's threaded worker, with deadlines on everything a client does.

gunicorn's own has none for headers and bodies: a client that sends a byte now and then holds a thread for ever. Here a
connection gets a thread when its first bytes are there; request line and headers have 15 s, the body has 15 s in all
however it drips, and a reader that takes nothing for 60 s is dropped.
"""

from __future__ import annotations

import errno
import logging
import re
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.sock import BaseSocket
from gunicorn.workers.gthread import TConn, ThreadWorker

from halo import stopping
from halo.thread_pool import ThreadPool

HEADER_SECONDS = 15.0
BODY_SECONDS = 15.0
SEND_SECONDS = 60.0
# How long a closed connection may keep its thread while the client's last bytes are thrown away.
LINGER_SECONDS = 2.0
# What is answered in the main loop is no larger, body included.
MOST_AT_ONCE = 16_384
# After a round of the main loop that has answered something, what comes in so many seconds is left to come together: a
# round costs more than the answers in it, as it takes the interpreter from the threads that serve the others.
GATHER_SECONDS = 0.03
# So many connections are taken at once; others are left to the other processes.
MOST_ACCEPTED = 16
# How long a stopping worker waits for connections that have not sent anything.
STOP_SECONDS = 2.0
DRAIN_SECONDS = 5.0

# In the WSGI environment: the `time.monotonic()` at which reading the body raises SlowBody.
BODY_DEADLINE = "halo.body_deadline"
# In the WSGI environment: whether `at_once` said of this very request that it may come in; and its way to say so.
WAS_LET_IN = "halo.was_let_in"
LET_IN = (0, b"")


class SlowBody(TimeoutError):
    """Raised out of `wsgi.input`: the client did not send its body in time; the connection ends after the answer."""


class DeadlineSocket(socket.socket):
    """A client's socket: all reads count against one deadline, every write has a time-out of its own."""

    deadline = 0.0
    in_body = False
    was_let_in = False
    # What was read of a request before it got a thread.
    arrived = b""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As usual; past the deadline SlowBody inside a body, and before it an end of file, as if the client left."""
        if self.arrived:
            taken, self.arrived = self.arrived[:size], self.arrived[size:]
            return taken
        remaining = self.deadline - time.monotonic()
        if remaining > 0:
            self.settimeout(remaining)
            try:
                return super().recv(size, flags)
            except TimeoutError:
                pass
        if self.in_body:
            raise SlowBody(errno.ETIMEDOUT, "the request's body did not arrive in time")
        return b""

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As usual; a client that does not take `data` within 60 s counts as gone."""
        self.settimeout(SEND_SECONDS)
        try:
            super().sendall(data, flags)
        except TimeoutError as error:
            raise BrokenPipeError(errno.EPIPE, "the client stopped reading") from error

    def arrive(self, size: int) -> bytes:
        """What has arrived, without waiting and up to about `size`; `recv` gives it again."""
        if len(self.arrived) < size:
            with suppress(BlockingIOError):
                self.arrived += super().recv(size, socket.MSG_DONTWAIT)
        return self.arrived


class Connection(TConn):
    """One client; may be closed by the thread that served it, and then again by the main loop."""

    closed = False

    def wait_for_data(self, timeout: float) -> bool:
        """As usual; the socket itself does not tell of what was read already."""
        return bool(self.sock.arrived) or bool(super().wait_for_data(timeout))

    def close(self, graceful: bool = False) -> None:
        if not self.closed:
            self.closed = True
            self.sock.in_body = False
            self.sock.deadline = time.monotonic() + LINGER_SECONDS
            super().close(graceful)


class DeadlineWorker(ThreadWorker):
    """See the module; `worker_class` of halo/gunicorn_conf.py."""

    # Asked by the main loop before a request gets a thread, with what reads what has arrived of it: how many bytes the
    # request is, and its whole answer; LET_IN or None where it is to be served as usual. Never waits.
    at_once: Callable[[Callable[[], bytes]], tuple[int, bytes] | None] | None = None
    # Whether this round of the main loop has answered anything.
    has_answered = False

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        if self.has_answered:
            self.has_answered = False
            time.sleep(GATHER_SECONDS)
        super().wait_for_and_dispatch_events(timeout)

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        if self.answered(conn):
            # Its first request is over: from now on it is a connection that is kept.
            self.pending_conns.remove(conn)
            self.keep(conn)
            assert self.poller is not None
            self.poller.modify(client, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))
        else:
            super().on_pending_socket_readable(conn, client)

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        if self.answered(conn):
            self.keepalived_conns.remove(conn)
            self.keep(conn)
        else:
            super().on_client_socket_readable(conn, client)

    def keep(self, conn: Connection) -> None:
        """Waits for the connection's next request for as long as for any other's; the deque is in the order of that."""
        conn.set_timeout()
        self.keepalived_conns.append(conn)

    def answered(self, conn: Connection) -> bool:
        """Whether what has arrived was answered at once, in the main loop, and nothing is left of it."""
        conn.sock.was_let_in = False
        if self.at_once is None or not self.alive:
            return False
        try:
            found = self.at_once(partial(conn.sock.arrive, MOST_AT_ONCE))
            conn.sock.was_let_in = found == LET_IN
            if found is None or conn.sock.was_let_in:
                return False
            size, answer = found
            self.has_answered = True
            conn.sock.arrived = conn.sock.arrived[size:]
            if conn.sock.send(answer, socket.MSG_DONTWAIT) < len(answer):
                # It has sent many requests and read no answer; the thread that comes to it finds it closed.
                conn.sock.arrived = b""
                conn.sock.shutdown(socket.SHUT_RDWR)
                return False
        except OSError:
            # The client has gone, or will have: as above.
            return False
        # Where a second request came with it, no socket would tell of that again.
        return not conn.sock.arrived

    def accept(self, listener: BaseSocket) -> bool:
        """Takes connections; False if there was none."""
        # One a round would be one each time that the main loop gets the interpreter, which others want too.
        taken = 0
        while taken < MOST_ACCEPTED and self.accept_one(listener):
            taken += 1
        return taken > 0

    def accept_one(self, listener: BaseSocket) -> bool:
        """Takes a connection and watches it, costing no thread before something was sent; False if there was none."""
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                # The listener stays readable, so a pause keeps this from spinning; gunicorn's own would die.
                self.log.error("Out of file descriptors: raise `ulimit -n`.")
                time.sleep(0.05)
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return False
        client = DeadlineSocket(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        client.deadline = time.monotonic() + HEADER_SECONDS
        connection = Connection(self.cfg, client, address, listener.getsockname())
        connection.timeout = client.deadline
        self.nr_conns += 1
        self.pending_conns.append(connection)
        assert self.poller is not None
        self.poller.register(client, selectors.EVENT_READ, partial(self.on_pending_socket_readable, connection))
        return True

    def handle(self, conn: Connection) -> object:
        """Serves what has arrived on a connection, in a thread; anything but True means that it is closed."""
        now = time.monotonic()
        # A new connection's time runs since it was accepted, but waiting for a free thread is not the client's fault.
        conn.sock.deadline = now + HEADER_SECONDS if conn.initialized else max(conn.sock.deadline, now + 1.0)
        conn.sock.in_body = False
        keep = super().handle(conn)
        if not keep:
            # Closing waits for the client's last bytes: here, since the main loop accepts everybody else's.
            conn.close(graceful=True)
        return keep

    def handle_request(self, req: Any, conn: Connection) -> object:
        conn.sock.deadline = time.monotonic() + BODY_SECONDS
        conn.sock.in_body = True
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Connection, keepalive: object) -> bool:
        conn.sock.deadline = time.monotonic() + DRAIN_SECONDS
        return bool(super()._keepalive_after(conn, keepalive))

    def get_thread_pool(self) -> ThreadPool:
        """Under load the main loop must not wait for threads: it is what refuses."""
        return ThreadPool(self.cfg.threads)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        application = self.wsgi

        def with_deadline(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            client: DeadlineSocket = environ["gunicorn.socket"]
            environ[BODY_DEADLINE] = client.deadline
            # Of two requests that came together only the first was looked at.
            environ[WAS_LET_IN], client.was_let_in = client.was_let_in, False
            return application(environ, start_response)

        self.wsgi = with_deadline

    def is_parent_alive(self) -> bool:
        if not super().is_parent_alive():
            self.alive = False
        return self.alive

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            stopping.asked.set()
            # Who has connected already is served; then the address is free for the next master, while this worker
            # may still have turns to finish.
            for listener in self.sockets:
                while self.accept(listener):
                    pass
                listener.close()

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_SECONDS)


class NoClientText(logging.Filter):
    """Takes out of gunicorn's log lines what a client sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        # SECURITY: a malformed header line may hold a key, and a path a session id.
        if isinstance(record.msg, str):
            record.msg = re.sub(r"^(Invalid request from ip=\S*?): .*", r"\1", record.msg, flags=re.DOTALL)
            if record.msg.startswith("Error handling request"):
                record.msg, record.args = "Error handling request", ()
        return True
