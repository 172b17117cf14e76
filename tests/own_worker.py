"""The Celery worker that lives in the process of the tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import redis
from celery.contrib.testing.worker import start_worker
from celery.worker import state
from django.conf import settings

from halo.celery import app

QUEUES = ("llm", "default")
# What a test left behind may wait for a model that is gone; then the next test begins beside it.
REST_SECONDS = 20.0
# Its broker, by a connection that no test takes away; None while it does not run.
_broker: redis.Redis | None = None


@contextmanager
def own_worker() -> Iterator[None]:
    """Runs a real worker; what was rung before it started is done with when this yields."""
    global _broker
    with (
        # The process is not its own, so neither is the priority.
        mock.patch("halo.hooks.give_way"),
        start_worker(
            app, perform_ping_check=False, pool="threads", concurrency=32, queues=list(QUEUES), shutdown_timeout=20
        ),
    ):
        _broker = redis.Redis.from_url(settings.REDIS_URL)
        wait_for_rest()
        try:
            yield
        finally:
            _broker.close()
            _broker = None


def wait_for_rest() -> None:
    """Waits until the worker, if it runs, has nothing left to do: a task of one test must not do the work of the next."""
    give_up_at = time.monotonic() + REST_SECONDS
    looks = 0
    # Seen twice: between the queue and the list of what is reserved a task is nowhere for a moment.
    while _broker is not None and looks < 2 and time.monotonic() < give_up_at:
        looks = 0 if _has_work(_broker) else looks + 1
        time.sleep(0.004)


def _has_work(broker: redis.Redis) -> bool:
    return bool(state.reserved_requests) or any(broker.llen(queue) for queue in QUEUES)
