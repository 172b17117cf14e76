"""The pool that requests get their threads from."""

from __future__ import annotations

import _thread
import threading
import time
from typing import Any

import pytest

from halo.thread_pool import ThreadPool


def test_work_is_done_in_as_many_threads_as_allowed_and_the_rest_waits() -> None:
    pool, here, go = ThreadPool(3), threading.Semaphore(0), threading.Event()

    def work(number: int) -> tuple[int, int]:
        here.release()
        go.wait(10)
        return number, threading.get_ident()

    asked = [pool.submit(work, number) for number in range(9)]
    for _ in range(3):
        assert here.acquire(timeout=10)
    assert not here.acquire(timeout=0.1), "a fourth thread"
    go.set()
    done = [future.result(10) for future in asked]
    assert [number for number, _ in done] == list(range(9))
    assert len({thread for _, thread in done}) == 3


def test_a_thread_that_has_nothing_to_do_is_used_again() -> None:
    pool = ThreadPool(8)
    threads = set()
    for _ in range(20):
        threads.add(pool.submit(threading.get_ident).result(10))
        # The thread is idle a moment after its work is done; on a busy machine that is a long one now and then.
        time.sleep(0.05)
    assert len(threads) <= 3


def test_what_is_raised_reaches_whoever_asked_and_the_thread_goes_on() -> None:
    pool = ThreadPool(1)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pool.submit(fail).result(10)
    assert pool.submit(lambda: 7).result(10) == 7


def test_who_hands_in_work_does_not_wait_for_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    may_run = threading.Event()
    start = _thread.start_new_thread

    def slowly(function: Any, args: tuple[Any, ...]) -> int:
        return start(lambda: may_run.wait(10) and function(*args), ())

    monkeypatch.setattr(_thread, "start_new_thread", slowly)
    asked = ThreadPool(1).submit(lambda: 7)
    assert not asked.done()
    may_run.set()
    assert asked.result(10) == 7


def test_where_the_system_allows_no_more_threads_those_that_there_are_do_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, go = ThreadPool(8), threading.Event()
    first = pool.submit(go.wait, 10)

    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    second = pool.submit(lambda: 7)
    go.set()
    assert first.result(10) and second.result(10) == 7
    with pytest.raises(RuntimeError):
        ThreadPool(8).submit(lambda: 7)


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_pool_that_is_shut_ends_what_it_has_begun_and_takes_nothing_more(cancelled: bool) -> None:
    pool, here, go = ThreadPool(1), threading.Event(), threading.Event()

    def work() -> bool:
        here.set()
        return go.wait(10)

    begun, waiting = pool.submit(work), pool.submit(lambda: 7)
    assert here.wait(10)
    pool.shutdown(wait=False, cancel_futures=cancelled)
    with pytest.raises(RuntimeError):
        pool.submit(work)
    go.set()
    pool.shutdown(wait=True)
    assert begun.result(0)
    assert waiting.cancelled() if cancelled else waiting.result(0) == 7
