"""A pool of threads that never makes wait who hands it work.

The standard library's waits for each thread that it starts until that one has run. Where others keep the interpreter
busy that takes 5 ms for each of them, and a loop that hands on some hundred requests stands still for seconds.
"""

from __future__ import annotations

import _thread
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPool(Executor):
    """As ThreadPoolExecutor, but the process does not wait for its threads when it ends."""

    def __init__(self, most: int) -> None:
        """`most` threads; what is handed in while all are busy waits for one, in the order of coming."""
        self._most = most
        self._is_shut = False
        self._threads = 0
        # Guards the two above; told of each thread that has ended.
        self._changed = threading.Condition()
        # How many threads wait for work that nobody was promised.
        self._idle = threading.Semaphore(0)
        # None is for a thread that is to end.
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As any Executor's; raises RuntimeError once it is shut."""
        future: Future[T] = Future()
        with self._changed:
            if self._is_shut:
                raise RuntimeError("this pool of threads takes no more work")
            self._work.put((future, lambda: fn(*args, **kwargs)))
            if not self._idle.acquire(blocking=False) and self._threads < self._most:
                self._start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As any Executor's: threads end once nothing is left to do."""
        with self._changed:
            self._is_shut = True
            left = self._left() if cancel_futures else []
            self._work.put(None)
        for future in left:
            future.cancel()
        if wait:
            with self._changed:
                self._changed.wait_for(lambda: not self._threads)

    def _start(self) -> None:
        try:
            # Not a Thread, whose `start` is what waits.
            _thread.start_new_thread(self._serve, ())
        except RuntimeError:
            # The system allows no more of them; those that there are will come to it.
            if not self._threads:
                raise
        else:
            self._threads += 1

    def _left(self) -> list[Future[Any]]:
        """What no thread has come to; nobody will."""
        left = []
        try:
            while work := self._work.get_nowait():
                left.append(work[0])
        except queue.Empty:
            pass
        return left

    def _serve(self) -> None:
        while work := self._next():
            self._do(*work)
            # What it did is not to be kept while nothing else comes.
            del work
        self._work.put(None)
        with self._changed:
            self._threads -= 1
            self._changed.notify_all()

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        try:
            return self._work.get_nowait()
        except queue.Empty:
            self._idle.release()
            return self._work.get()

    @staticmethod
    def _do(future: Future[Any], call: Callable[[], Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = call()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
