"""A few lanes for work that keeps the processor busy, in a process with hundreds of threads that mostly wait.

Threads that all want the interpreter at once slow each other down, the short jobs most of all. Who has no lane yet
waits at no cost, in the order of coming.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

# A queue of so few is none.
SHORT = 16
RECENT = 64


class Lanes:
    """`enter` and `leave` belong to the thread that calls them; who is not inside may leave all the same."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.waiting = 0
        self._free = threading.Semaphore(number)
        # So many of those who leave make room for nobody.
        self._closing = 0
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._short_at = time.monotonic()
        # When the last ones came through.
        self._left: deque[float] = deque(maxlen=RECENT)

    def set_number(self, number: int) -> None:
        """How many there are from now on; who is inside already stays."""
        with self._lock:
            if number == self.number:
                return
            self._closing += self.number - number
            self.number = number
            if self._closing < 0:
                self._free.release(-self._closing)
                self._closing = 0

    @property
    def waited(self) -> float:
        """For how many seconds the calling thread waited when it came in last."""
        return getattr(self._mine, "waited", 0.0)

    def enter(self) -> None:
        """Waits for a lane."""
        came = time.monotonic()
        with self._lock:
            self._look()
            self.waiting += 1
        self._free.acquire()
        with self._lock:
            self.waiting -= 1
            self._look()
        self._mine.inside = True
        self._mine.waited = time.monotonic() - came

    def leave(self) -> None:
        """Lets the next one in."""
        if getattr(self._mine, "inside", False):
            self._mine.inside = False
            self._left.append(time.monotonic())
            with self._lock:
                if self._closing:
                    self._closing -= 1
                    return
            self._free.release()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A lane for the block, or for each call of a function that is decorated with it."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def is_overrun(self, *, after: float, seconds: float) -> bool:
        """Whether the queue has not been short for `after` seconds, and who came now would wait longer than `seconds`.

        So a burst may queue for as long as it takes, and what keeps coming too fast may not.
        """
        with self._lock:
            self._look()
            now, first = time.monotonic(), self._left[0] if self._left else 0.0
            pace = len(self._left) / max(now - first, 0.001)
            return now - self._short_at > after and self.waiting > pace * seconds

    def _look(self) -> None:
        if self.waiting <= SHORT:
            self._short_at = time.monotonic()
