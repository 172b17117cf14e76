"""Processes that a loaded process becomes by forking, so that the application is loaded once and not by each of them.

This is the supervisor's side, which knows no Django; halo/fork_server.py is the other one.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field

from halo.embedded.processes import Program

READY = b"ready"
# A fork takes some ten milliseconds.
REPLY_SECONDS = 10.0


class Forked:
    """A process that was forked for us: a child of ours as if we had started it (see `adopt_orphans`)."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        return self._wait(0)

    def send_signal(self, how: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, how)

    def _wait(self, how: int) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, how)
            except ChildProcessError:
                # Somebody else has fetched its end, and what it was.
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


@dataclass
class ForkServer(Program):
    """Loads the application and forks on demand; while it loads, or is gone, programs are executed as any other is."""

    # While nothing else runs, what is to be forked can wait until some of the application is loaded.
    is_first: bool = True
    _wire: socket.socket | None = field(default=None, repr=False)
    _is_ready: bool = False

    def start(self) -> None:
        self._hang_up()
        # Messages keep their bounds, and the end of the one side is a message of no bytes to the other.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(REPLY_SECONDS)
        self._wire, self._is_ready = ours, False
        self.argv = [sys.executable, "-m", "halo.fork_server", str(theirs.fileno())]
        self.keep = (theirs.fileno(),)
        try:
            super().start()
        finally:
            theirs.close()

    def is_ready(self) -> bool:
        """Whether the application is loaded."""
        if not self._is_ready and self._wire is not None:
            # A socket with a time-out waits for it whatever its flags say.
            with suppress(OSError):
                if select.select([self._wire], [], [], 0)[0]:
                    self._is_ready = self._wire.recv(16) == READY
        return self._is_ready

    def fork(self, module: str, *arguments: str, name: str, output: int) -> Forked | None:
        """Runs a module as `python -m` does, in a fork that writes to `output`; None where that cannot be had now."""
        if self._wire is None or not (self.is_ready() or self.is_first):
            return None
        try:
            request = json.dumps({"name": name, "argv": [module, *arguments]}).encode()
            socket.send_fds(self._wire, [request], [output])
            return Forked(int(self._answer(self._wire)))
        except (OSError, ValueError):
            # Whatever it may still be about to do: it is started anew, and so is what it was asked for.
            self._hang_up()
            self.ask_to_stop(signal.SIGKILL)
            return None

    def _answer(self, wire: socket.socket) -> bytes:
        while (told := wire.recv(32)) == READY:
            self._is_ready = True
        return told

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
        self._wire, self._is_ready = None, False
