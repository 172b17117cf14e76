"""The Celery worker that lives in the process of the tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery.contrib.testing.worker import start_worker
from celery.worker import state

from halo import wire
from halo.celery import app

QUEUES = ("llm", "default")
# What a test left behind may wait for a model that is gone; then the next test begins beside it.
REST_SECONDS = 20.0
_is_running = False


@contextmanager
def own_worker() -> Iterator[None]:
    """Runs a real worker; what was rung before it started is done with when this yields."""
    global _is_running
    with start_worker(
        app, perform_ping_check=False, pool="threads", concurrency=32, queues=list(QUEUES), shutdown_timeout=20
    ):
        _is_running = True
        wait_for_rest()
        try:
            yield
        finally:
            _is_running = False


def wait_for_rest() -> None:
    """Waits until the worker, if it runs, has nothing left to do: a task of one test must not do the work of the next."""
    give_up_at = time.monotonic() + REST_SECONDS
    while _is_running and _has_work() and time.monotonic() < give_up_at:
        time.sleep(0.005)


def _has_work() -> bool:
    with wire.calling() as client:
        waiting = sum(client.llen(queue) for queue in QUEUES)
        # Taken and not confirmed, which is so before Celery itself knows of it.
        taken = client.zcard("unacked_index")
    return bool(waiting or taken or state.reserved_requests)
