"""Who waits on a Redis that has stopped learns of it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from conversations import tape
from halo import wire
from halo.embedded.binaries import find_binaries


@pytest.fixture
def own_redis(tmp_path: Path, settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis of the test's own, that it may stop."""
    socket = tmp_path / "redis.sock"
    command = [str(find_binaries(None).valkey), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        try:
            ends_at = time.monotonic() + 10
            while not socket.exists():
                assert time.monotonic() < ends_at
                time.sleep(0.01)
            settings.REDIS_URL = f"unix://{socket}"
            wire.forget_connections()
            wire.mark_back()
            yield process
        finally:
            process.kill()
            wire.forget_connections()
            wire.mark_back()


def reading(turn_id: uuid.UUID, found: list[Any], *, seconds: float) -> threading.Thread:
    """A thread that waits on the turn's tape, and puts what came into `found`."""

    def read() -> None:
        try:
            found.append([entry.kind for entry in tape.read(turn_id, after=tape.START, wait_seconds=seconds)])
        except wire.WireAway:
            found.append("away")

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def until_they_wait(number: int) -> None:
    ends_at = time.monotonic() + 10
    asking = redis.Redis.from_url(settings.REDIS_URL)
    while asking.info("clients")["blocked_clients"] < number:
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    asking.close()


def test_who_waits_on_a_frozen_redis_is_told_within_seconds(own_redis: subprocess.Popen[bytes]) -> None:
    found: list[Any] = []
    threads = [reading(uuid.uuid4(), found, seconds=50) for _ in range(3)]
    until_they_wait(3)
    os.kill(own_redis.pid, signal.SIGSTOP)
    # One second to the next question, two for the answer.
    for thread in threads:
        thread.join(10)
    assert found == ["away"] * 3
    os.kill(own_redis.pid, signal.SIGCONT)


def test_who_waits_on_a_redis_that_answers_goes_on_waiting(own_redis: subprocess.Popen[bytes]) -> None:
    found: list[Any] = []
    turn_id = uuid.uuid4()
    thread = reading(turn_id, found, seconds=50)
    until_they_wait(1)
    time.sleep(2.5)
    assert thread.is_alive(), "it has been asked twice, and is there"
    tape.append(turn_id, attempt=1, kind="done")
    thread.join(10)
    assert found == [["done"]]


def test_nobody_asks_where_nobody_waits(own_redis: subprocess.Popen[bytes]) -> None:
    found: list[Any] = []
    reading(uuid.uuid4(), found, seconds=0.01).join(5)
    assert found == [[]]
    ends_at = time.monotonic() + 10
    while any(thread.name == "halo-pulse" for thread in threading.enumerate()):
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    reading(uuid.uuid4(), found, seconds=0.01).join(5)
    assert found == [[], []]
