"""Rate limits: atomic, all or nothing, with a wait in whole seconds, and still there without Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ImproperlyConfigured

from halo import rate_limits, wire
from halo.errors import RateLimited
from orgs import throttling
from orgs.throttling import Bucket


def some(name: str = "session", limit: int = 5) -> Bucket:
    return Bucket(name, uuid.uuid4().hex, limit)


@pytest.fixture(params=["redis", "this process"])
def where(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "this process":
        wire.mark_away()
    else:
        wire.mark_back()
    yield request.param
    wire.mark_back()


def test_a_minutes_worth_passes_and_the_next_waits(where: str) -> None:
    bucket = some(limit=6)
    for _ in range(6):
        throttling.take([bucket])

    with pytest.raises(RateLimited) as refused:
        throttling.take([bucket])

    assert 1 <= (refused.value.retry_after or 0) <= 120
    throttling.take([some(limit=6)])


def test_the_window_slides() -> None:
    def wait(row: tuple[int, int, int] | None, window: int, into: float) -> float:
        return throttling._count(row, window, into, 20)[1]

    # 20 in the minute before: as much passes as has slid out of the last 60 seconds, and the wait says when.
    assert wait((7, 20, 0), 8, 0) == 3000
    assert wait((7, 20, 0), 8, 2999) == 1
    assert wait((7, 20, 0), 8, 3000) <= 0
    assert wait((8, 10, 20), 8, 30_000) == 3000
    assert wait((8, 10, 20), 8, 33_000) <= 0
    # 20 in this minute: nothing passes until it is over and a twentieth of it has slid out.
    assert wait((8, 20, 0), 8, 40_000) == 23_000
    # Longer ago than that counts no more.
    assert wait((6, 20, 20), 8, 0) <= 0
    assert wait(None, 8, 0) <= 0


def test_redis_and_this_process_count_alike() -> None:
    bucket = some(limit=3)
    for _ in range(3):
        throttling.take([bucket])
    with pytest.raises(RateLimited):
        throttling.take([bucket])
    with wire.calling() as client:
        (row,) = [client.hgetall(key) for key in client.keys(f"halo:limit:*{bucket.subject}")]
    assert {name: int(value) for name, value in row.items()}.items() >= {"current": 3, "previous": 0}.items()


def test_a_refused_request_counts_nowhere(where: str) -> None:
    full, open_ = some(limit=1), some(limit=2)
    throttling.take([full])
    for _ in range(5):
        with pytest.raises(RateLimited):
            throttling.take([open_, full])

    throttling.take([open_])
    throttling.take([open_])


def test_requests_at_once_do_not_slip_through(where: str) -> None:
    bucket = some(limit=10)

    def passes(_: int) -> bool:
        try:
            throttling.take([bucket])
        except RateLimited:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(passes, range(40))) == 10


def test_limits_that_are_off_are_not_counted() -> None:
    throttling.take([None, None])
    throttling.take([])


def test_the_setting_is_read_as_documented() -> None:
    assert rate_limits.parse("off") == {}
    assert rate_limits.parse("session=20, visitor=30,new=30,key=600")["key"] == 600
    assert rate_limits.parse("key=5") == {"key": 5}
    for wrong in ("session", "session=x", "session=0", "nonsense=5", "session=-1"):
        with pytest.raises(ImproperlyConfigured):
            rate_limits.parse(wrong)
