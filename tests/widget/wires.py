"""A line between a browser and Halo that can be cut, at any byte, and mended."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from typing import Any


class Wire:
    """Passes bytes on to `port`; `cut_behind` ends connections once the server has said that."""

    def __init__(self, port: int) -> None:
        self.cuts = 0
        self.behind: bytes | None = None
        self.is_down = False
        self.times = 0
        self.loses = False
        self.open: set[socket.socket] = set()
        wire = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                if wire.is_down:
                    return
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
                    wire.open.update((self.request, server))
                    upwards = threading.Thread(target=_copy, args=(self.request, server), daemon=True)
                    upwards.start()
                    said = b""
                    while data := server.recv(65536):
                        said = (said + data)[-200_000:]
                        if wire.times and wire.behind is not None and wire.behind in said:
                            wire.times -= 1
                            wire.cuts += 1
                            # What came up to there arrives, and then nothing; or not even that.
                            if not wire.loses:
                                self.request.sendall(data)
                                # A connection that is reset takes along what nobody has read yet.
                                time.sleep(0.2)
                            break
                        self.request.sendall(data)
                    for end in (self.request, server):
                        with contextlib.suppress(OSError):
                            end.shutdown(socket.SHUT_RDWR)
                    upwards.join(1)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Connections that break are what this is for."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def cut_behind(self, text: str, *, times: int = 1) -> None:
        self.behind, self.times, self.loses = text.encode(), times, False

    def lose(self, text: str) -> None:
        """The next answer with that in it does not arrive."""
        self.behind, self.times, self.loses = text.encode(), 1, True

    def down(self) -> None:
        """Nobody answers any more."""
        self.is_down = True
        for end in list(self.open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def up(self) -> None:
        self.is_down = False

    def stop(self) -> None:
        self.down()
        self.server.shutdown()
        self.server.server_close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
