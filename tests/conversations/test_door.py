"""Refusing at the door: what a web process knows by itself, and whom it turns away before anything is looked at."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conversations import admission, door
from conversations import doorman as doormen
from conversations.doorman import Doorman, View
from halo import wire
from halo.lanes import Lanes
from halo.web_worker import LET_IN
from orgs.models import Organization
from tests.conversations.conftest import Visitor


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    def forget() -> None:
        admission.doorman.calm_down()
        with wire.calling() as client:
            for key in client.keys("halo:turns:*"):
                client.delete(key)

    forget()
    yield
    forget()


def until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def test_a_process_that_was_refused_a_place_refuses_by_itself_until_there_is_one(
    visitor: Visitor, acme: Organization, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.HALO_TURNS = 1
    place = uuid.uuid4()
    admission.enter(place, org=acme)
    assert visitor.say().status_code == 503

    caplog.clear()
    assert Visitor("not a key").say().status_code == 503, "not even the key is looked up"
    # A turn of the test before may still be ending in its thread.
    logged = [record for record in caplog.records if record.name != "conversations.answering"]
    assert not logged, "of thousands a minute each is counted and none is logged"
    admission.leave(place, org_id=acme.pk)
    until(lambda: admission.doorman.knock() is None)
    assert Visitor("not a key").say().status_code == 401
    until(lambda: visitor.say().status_code == 200)


def test_a_web_process_keeps_threads_to_refuse_with(visitor: Visitor, settings: Any) -> None:
    settings.HALO_WEB_THREADS = 2
    reading = visitor.stream()
    assert reading.status_code == 200
    assert visitor.say(headers={"Idempotency-Key": "k" * 16}).status_code == 503
    next(iter(reading.streaming_content))
    reading.close()
    assert visitor.say().status_code == 200
    reading.close()
    other = visitor.stream()
    assert other.status_code == 200
    assert visitor.say(headers={"Idempotency-Key": "k" * 16}).status_code == 503, "a place is given back once"


PLAIN = b"POST /api/sdk/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nX-Request-Id: mine\r\n\r\nbodyPOST /"


def test_a_plain_request_is_refused_before_it_takes_a_thread_and_as_it_would_be_behind(
    visitor: Visitor, settings: Any
) -> None:
    assert door.refuse_at_once(lambda: PLAIN) == LET_IN, "nothing is full"
    settings.HALO_WEB_THREADS = 2
    reading = visitor.stream()
    found = door.refuse_at_once(lambda: PLAIN)
    assert found is not None
    size, answer = found
    assert size == len(PLAIN) - len(b"POST /"), "the next request stays where it is"
    head, _, body = answer.partition(b"\r\n\r\n")
    sent = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    behind = visitor.say(headers={"X-Request-Id": "mine"})
    assert json.loads(body) == behind.json() and behind.status_code == 503
    assert {name: sent[name] for name in behind.headers} == dict(behind.headers)
    reading.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        PLAIN.replace(b"chat", b"events"),
        PLAIN.replace(b"POST", b"GET", 1),
        PLAIN.replace(b"mine", b"mine\r\nIdempotency-Key: k"),
        PLAIN.replace(b"mine", b"mine\r\nconnection: close"),
        PLAIN.replace(b"mine", b"mine\r\nTransfer-Encoding: chunked"),
        PLAIN.replace(b"mine", b"mine\r\nExpect: 100-continue"),
        PLAIN.replace(b"mine", b"mine\r\nContent-Length: 4"),
        PLAIN.replace(b"mine", b"mine\nContent-Length: 9"),
        PLAIN.replace(b": 4", b": +4"),
        PLAIN.replace(b": 4", b": 4, 4"),
        PLAIN.replace(b"Content-Length: 4\r\n", b""),
        PLAIN.replace(b": 4", b": 4000"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN[:40],
        b"",
    ],
)
def test_whatever_is_not_plain_goes_the_usual_way(visitor: Visitor, settings: Any, request_bytes: bytes) -> None:
    settings.HALO_WEB_THREADS = 2
    reading = visitor.stream()
    assert door.refuse_at_once(lambda: PLAIN) not in (None, LET_IN)
    assert door.refuse_at_once(lambda: request_bytes) is None
    reading.close()


class Outside:
    """What a doorman sees when he looks."""

    def __init__(self) -> None:
        self.view: View | None = None
        self.looks = 0

    def __call__(self, behind: int) -> View | None:
        self.looks += 1
        return self.view


def test_while_all_is_calm_nobody_looks() -> None:
    outside = Outside()
    doorman = Doorman(outside, Lanes(4))
    for _ in range(50):
        doorman.let_in()
    assert doorman.knock() is None and outside.looks == 0


def test_after_a_refusal_as_many_are_let_in_as_there_are_places() -> None:
    outside = Outside()
    doorman = Doorman(outside, Lanes(4))
    outside.view = View(0, 7)
    doorman.refused(7)
    refused = doorman.knock()
    assert refused is not None and refused.retry_after == 7
    assert doorman.knock(may_be_known=True) is None, "who has a place already needs no other"
    doorman.let_in()
    until(lambda: outside.looks > 2)
    assert doorman.knock() is not None

    outside.view = View(2, 0)
    until(lambda: doorman.knock() is None)
    # All before the next look.
    outside.view = View(0, 7)
    let_in = 0
    while doorman.knock() is None:
        doorman.let_in()
        let_in += 1
    assert let_in <= 2


def test_a_shut_door_opens_again_although_nobody_came_through_it() -> None:
    outside = Outside()
    doorman = Doorman(outside, Lanes(4))
    outside.view = View(3, 0)
    doorman.refused(7)
    until(lambda: outside.looks > 0 and doorman.knock() is None)
    assert doorman.is_careful


def test_a_doorman_who_cannot_look_turns_nobody_away() -> None:
    outside = Outside()
    doorman = Doorman(outside, Lanes(4))
    doorman.refused(2)
    doorman.let_in()
    until(lambda: doorman.knock() is None)
    for _ in range(50):
        doorman.let_in()
    assert doorman.knock() is None


def behind(lanes: Lanes, number: int) -> list[threading.Thread]:
    """So many who wait for a lane, and pass through it."""

    def pass_through() -> None:
        with lanes.taken():
            pass

    waiting = [threading.Thread(target=pass_through, daemon=True) for _ in range(number)]
    for thread in waiting:
        thread.start()
    until(lambda: lanes.waiting == number)
    return waiting


def test_a_queue_before_the_lanes_is_short_where_places_are_rare_and_has_time_where_they_are_not() -> None:
    lanes = Lanes(1)
    doorman = Doorman(Outside(), lanes)
    lanes.enter()
    waiting = behind(lanes, 3)
    assert doorman.knock() is None
    doorman.refused(2)
    refused = doorman.knock(may_be_known=True)
    assert refused is not None and refused.reason == "web"
    lanes.leave()
    for thread in waiting:
        thread.join(5)
    assert doorman.knock(may_be_known=True) is None


def test_who_was_overrun_stays_careful_when_the_queue_has_become_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doormen, "CALM_SECONDS", 0.2)
    lanes = Lanes(1)
    doorman = Doorman(Outside(), lanes)
    lanes.enter()
    waiting = behind(lanes, 20)
    assert doorman.knock() is None and not doorman.is_careful, "a burst has its time"
    until(lambda: doorman.knock() is not None)
    assert doorman.is_careful
    lanes.leave()
    for thread in waiting:
        thread.join(5)
    assert doorman.knock() is None
    assert doorman.is_careful, "what still comes too fast gets no other burst's time"
