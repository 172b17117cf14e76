"""How many at once keep the processor busy, and how that changes."""

from __future__ import annotations

import threading
import time

from halo.lanes import Lanes


class Crowd:
    """Threads that go into lanes and stay there until one at a time is told to leave."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.inside = 0
        self._leave = threading.Semaphore(0)
        self._lock = threading.Lock()

    def come(self, number: int) -> None:
        for _ in range(number):
            threading.Thread(target=self._pass_through, daemon=True).start()

    def leave(self, number: int) -> None:
        self._leave.release(number)

    def is_inside(self, number: int) -> bool:
        """Whether there are so many, and stay so many."""
        ends_at = time.monotonic() + 10
        while self.inside != number and time.monotonic() < ends_at:
            time.sleep(0.01)
        time.sleep(0.05)
        return self.inside == number

    def _pass_through(self) -> None:
        with self.lanes.taken():
            with self._lock:
                self.inside += 1
            self._leave.acquire(timeout=20)
            with self._lock:
                self.inside -= 1


def test_lanes_close_as_those_inside_leave_and_open_at_once() -> None:
    lanes = Lanes(4)
    crowd = Crowd(lanes)
    crowd.come(12)
    assert crowd.is_inside(4)
    lanes.set_number(1)
    assert crowd.is_inside(4), "who is inside stays"
    crowd.leave(3)
    assert crowd.is_inside(1)
    crowd.leave(1)
    assert crowd.is_inside(1), "the last lane is there for the next one"
    lanes.set_number(3)
    assert crowd.is_inside(3)
    crowd.leave(20)
    assert crowd.is_inside(0) and lanes.waiting == 0


def test_lanes_that_open_before_they_have_closed_are_as_many_as_before() -> None:
    lanes = Lanes(4)
    crowd = Crowd(lanes)
    crowd.come(12)
    assert crowd.is_inside(4)
    for _ in range(5):
        lanes.set_number(1)
        lanes.set_number(4)
    crowd.leave(2)
    assert crowd.is_inside(4)
    crowd.leave(20)
    assert crowd.is_inside(0)
