"""A thread that looks after those who wait, as long as there are any: instead of each of them waking up to look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Companion:
    """Methods may be called from any thread."""

    def __init__(self, name: str, look: Callable[[], object], *, pause: Callable[[], float]) -> None:
        """Calls `look` every `pause()` seconds while somebody waits; what it raises ends the thread until the next."""
        self._name = name
        self._look = look
        self._pause = pause
        self._lock = threading.Lock()
        self._waiting = 0
        self._thread: threading.Thread | None = None

    @contextmanager
    def looking(self) -> Iterator[None]:
        """While the block lasts, somebody waits."""
        with self._lock:
            self._waiting += 1
            # A thread does not survive a fork.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._keep_looking, name=self._name, daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def _keep_looking(self) -> None:
        while True:
            time.sleep(self._pause())
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
            self._look()
