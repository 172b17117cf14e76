"""What one process knows by itself of whether another turn may come in, so that refusing asks nobody.

While all is calm everybody is let in, and places are found out one by one. Once somebody was refused a place, or waits
for a lane, one thread looks every tenth of a second how many there are left, for all requests of the process together.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings

from halo.lanes import Lanes

# Between looks; what was seen longer ago than STALE says nothing.
LOOK_SECONDS, STALE_SECONDS = 0.1, 1.0
# Who was refused a place makes the process careful for so long.
CAREFUL_SECONDS = 10.0
# Where too many have been on their way in for so long, and who came now would wait longer than this, a process refuses.
CALM_SECONDS, OVERRUN_SECONDS = 3.0, 0.5
# Threads of a web process that never wait for an answer, so that somebody is there to refuse, and for the staff.
SPARE_THREADS = 64


class Refused(NamedTuple):
    """Why, and in how many seconds to come again."""

    reason: str
    retry_after: int


class View(NamedTuple):
    """How many may come in; with none, in how many seconds to come again."""

    room: float
    retry_after: int


@dataclass(slots=True)
class _Seen:
    room: float = math.inf
    retry_after: int = 2
    at: float = 0.0


class Doorman:
    """`look` says how many may come in, given how many are on their way here already; None where nobody knows.

    `lanes` are those in which requests are accepted. Methods never wait, and may be called from any thread.
    """

    def __init__(self, look: Callable[[int], View | None], lanes: Lanes) -> None:
        self._look = look
        self._lanes = lanes
        self._lock = threading.Lock()
        self._held = 0
        self._seen = _Seen()
        self._careful_until = 0.0
        self._watcher: threading.Thread | None = None

    def knock(self, *, may_be_known: bool = False) -> Refused | None:
        """Somebody wants to come in: why they may not; `may_be_known`: who may have a place already.

        He also sees how many wait, and goes by what he saw for a while.
        """
        if self._is_overrun():
            # What keeps coming too fast does not get another burst's time once the queue has become short.
            self._careful_until = time.monotonic() + CAREFUL_SECONDS
            return Refused("web", 2)
        if self._held >= _most_held():
            return Refused("web", 2)
        seen = self._seen
        if not may_be_known and self.is_careful and seen.room <= 0 and time.monotonic() < seen.at + STALE_SECONDS:
            return Refused("remembered", seen.retry_after)
        return None

    def let_in(self) -> None:
        """Somebody is let in who will ask for a place."""
        if self.is_careful:
            self._seen.room -= 1
        if self.is_careful or self._lanes.waiting > self._lanes.number:
            self._watch()

    @property
    def is_careful(self) -> bool:
        """Whether who is let in now is counted, so that a place will be there."""
        return time.monotonic() < self._careful_until

    @property
    def held(self) -> int:
        """How many requests hold a thread, or may, until their answers are there."""
        return self._held

    def refused(self, retry_after: int) -> None:
        """Somebody was let in and found no place."""
        self._shut(retry_after)
        # Nobody is let in from here on, so nobody else would begin to look whether there is room again.
        self._watch()

    def calm_down(self) -> None:
        """Forgets what was seen, and what is being looked at this moment (tests)."""
        watcher = self._watcher
        self._careful_until = 0.0
        while watcher is not None and watcher.is_alive():
            watcher.join(LOOK_SECONDS)
            self._careful_until = 0.0

    def hold(self) -> None:
        """A request begins that may hold a thread until its answer is there."""
        with self._lock:
            self._held += 1

    def let_go(self) -> None:
        """Such a request has ended."""
        with self._lock:
            self._held -= 1

    def _is_overrun(self) -> bool:
        if self.is_careful:
            return self._lanes.waiting > 2 * self._lanes.number
        return self._lanes.is_overrun(after=CALM_SECONDS, seconds=OVERRUN_SECONDS)

    def _shut(self, retry_after: int) -> None:
        self._seen = _Seen(room=0, retry_after=retry_after, at=time.monotonic())
        self._careful_until = time.monotonic() + CAREFUL_SECONDS

    def _watch(self) -> None:
        with self._lock:
            if self._watcher is not None and self._watcher.is_alive():
                return
            self._watcher = threading.Thread(target=self._keep_looking, name="halo-doorman", daemon=True)
        self._watcher.start()

    def _keep_looking(self) -> None:
        while self.is_careful or self._lanes.waiting > self._lanes.number:
            view = self._look(self._lanes.waiting)
            if view is None:
                self._seen = _Seen()
            elif view.room <= 0:
                self._shut(view.retry_after)
            else:
                self._seen = _Seen(view.room, at=time.monotonic())
            time.sleep(LOOK_SECONDS)


def _most_held() -> int:
    threads: int = settings.HALO_WEB_THREADS
    return max(threads - SPARE_THREADS, threads // 2)
