"""An answer on its way to whoever listens: statuses and text, put on the turn's tape while the model still writes.

Whether anybody listens is seen by the tape: a listener opens it, and nothing is written on one that is not open. What
was missed is made up for: text carries its position, and the row has the whole of it in the end.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from agents.releasing import Release
from conversations import tape

# What comes within this time after some text was sent is sent together: a piece sent by itself costs half a
# millisecond of CPU over both processes.
BATCH_SECONDS = 0.04
# Between a reply that has left and the next, which goes on behind it.
GAP = "\n\n"
# How often it is looked whether somebody has begun to listen.
LOOK_AGAIN_SECONDS = 1.0


class TapeOutlet:
    """The outlet of one attempt at a turn; see thinking.Outlet."""

    def __init__(self, turn_id: uuid.UUID, *, attempt: int, keeps_text: bool, is_heard: bool = True) -> None:
        """`keeps_text`: what has left cannot be taken back, so that later replies go on behind it.

        `is_heard`: False where the tape was just seen not to be open.
        """
        self._turn_id = turn_id
        self._attempt = attempt
        self._keeps_text = keeps_text
        self._round = 0
        self._before = ""  # what of earlier replies stands before this one
        self._make: Callable[[], Release] | None = None
        self._release: Release | None = None
        self._unread = ""  # of the reply, what no release has seen yet
        self._written = 0  # characters of this text that are on the tape
        self._left = ""  # all that was ever put on the tape, of the newest reply that has anything there
        self._left_round = 0
        self._heard = is_heard
        self._look_at = 0.0 if is_heard else time.monotonic() + LOOK_AGAIN_SECONDS
        self._read_at = 0.0
        self._state = ""
        self._is_open = True
        self._waits = False  # something is to be flushed
        # The model's reader and the thread that flushes meet here.
        self._lock = threading.Lock()

    @property
    def left(self) -> str:
        """The text that listeners may have seen; a later reply's takes the place of an earlier one's."""
        return self._left

    @property
    def generation(self) -> str:
        """Which reply `left` is of."""
        return f"{self._attempt}.{self._left_round}"

    def whole(self, text: str) -> tuple[str, str]:
        """The answer that ends with the finished `text`, and the generation that it goes on from; that may be empty."""
        begun = self._left[len(self._before) :]
        if text.startswith(begun):
            return self._before + text, self.generation
        if self._keeps_text:
            # The rest of what had begun was kept back.
            return f"{self._left}{GAP}{text}", self.generation
        return text, ""

    def state(self, state: str) -> None:
        """See thinking.Outlet."""
        with self._lock:
            if state != self._state and self._listening():
                self._state = state
                self._heard = self._write(("status", {"state": state}))

    def begin(self, round: int, release: Callable[[], Release]) -> None:
        """See thinking.Outlet."""
        self.state("thinking")
        with self._lock:
            if self._left_round == self._round and self._left:
                # Half a sentence would be all that is read for as long as a tool takes.
                self._advance()
            self._make, self._release, self._unread = release, None, ""
            if self._keeps_text and self._left:
                self._before = self._left + GAP
            else:
                self._round, self._written = round, 0

    def take(self, piece: str) -> None:
        """See thinking.Outlet."""
        with self._lock:
            self._unread += piece
            if not self._listening():
                return
            due = self._read_at + BATCH_SECONDS
            if time.monotonic() >= due:
                self._advance()
            elif not self._waits:
                self._waits = True
                _flusher.at(due, self.flush)

    def flush(self) -> None:
        """Sends what has waited for company."""
        with self._lock:
            self._waits = False
            if self._is_open:
                self._advance()

    def close(self) -> None:
        """The attempt is over; nothing is sent any more."""
        with self._lock:
            self._is_open = False

    def _listening(self) -> bool:
        if self._heard or time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_AGAIN_SECONDS
            return self._is_open
        return False

    def _advance(self) -> None:
        if not self._unread:
            return
        self._read_at = time.monotonic()
        if self._release is None and self._make is not None:
            self._release = self._make()
        if self._release is not None:
            self._release.feed(self._unread)
            self._unread = ""
            self._send()

    def _send(self) -> None:
        text = self._text()
        if len(text) <= self._written:
            return
        delta = ("delta", {"round": self._round, "at": self._written, "text": text[self._written :]})
        if self._state != "writing":
            self._state = "writing"
            self._heard = self._write(("status", {"state": "writing"}), delta)
        else:
            self._heard = self._write(delta)
        if self._heard:
            self._written, self._left, self._left_round = len(text), text, self._round
        else:
            # Whoever comes next gets it from the beginning.
            self._written = 0

    def _text(self) -> str:
        begun = self._release.text if self._release else ""
        return self._before + begun if begun else ""

    def _write(self, *entries: tuple[str, dict[str, Any]]) -> bool:
        return tape.append_if_open(self._turn_id, *entries, attempt=self._attempt)


class _Flusher:
    """One thread a process that calls back when time has come."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """`act()` at a time.monotonic() value, in another thread."""
        with self._changed:
            heapq.heappush(self._due, (moment, next(self._numbers), act))
            # Made where it is needed first, as no thread survives a fork.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="outlet-flusher", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                _, _, act = heapq.heappop(self._due)
            act()


_flusher = _Flusher()
