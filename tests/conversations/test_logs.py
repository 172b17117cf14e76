"""From accepting a message to recording its answer, every line about a turn bears the id of its request."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from conversations import bell, leaving, sweep, turns
from conversations.models import Turn
from halo import wire
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel

ID = "req-from-the-site-1"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    caplog.set_level(logging.INFO)
    return lambda: [record.msg for record in caplog.records if isinstance(record.msg, dict)]


def about(lines: list[dict[str, Any]], event: str) -> dict[str, Any]:
    (found,) = [line for line in lines if line["event"] == event]
    return found


def test_web_and_worker_name_the_request(visitor: Visitor, lines: Callable[[], list[dict[str, Any]]]) -> None:
    turn = visitor.told(headers={"X-Request-Id": ID})["turn_id"]

    answered = about(lines(), "turn_answered")
    assert (answered["request_id"], answered["turn_id"]) == (ID, turn)
    assert about(lines(), "request")["request_id"] == ID


def test_so_do_failures_of_the_model_and_the_end_of_the_turn(
    visitor: Visitor, model: FakeModel, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    model.reply(status=500, times=3)
    assert visitor.say(headers={"X-Request-Id": ID}).status_code == 503

    assert len(about(lines(), "model_failed")["turn_id"]) == 36
    assert {about(lines(), event)["request_id"] for event in ("model_failed", "turn_closed", "request")} == {ID}


def test_a_retry_that_reopens_a_turn_gives_it_its_own_id(
    visitor: Visitor, model: FakeModel, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    key = {"Idempotency-Key": "k" * 16}
    model.reply(status=500, times=3)
    visitor.say(headers={"X-Request-Id": "req-first", **key})
    visitor.told(headers={"X-Request-Id": ID, **key})

    assert about(lines(), "turn_answered")["request_id"] == ID


def test_a_bell_that_cannot_be_rung_names_the_turn_it_was_for(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    def refuse(*_: object) -> None:
        with wire.calling():
            raise OSError

    monkeypatch.setattr(bell.broker, "post", refuse)
    turn = visitor.told(headers={"X-Request-Id": ID})["turn_id"]
    wire.mark_back()

    unheard = about(lines(), "bell_not_rung")
    assert (unheard["request_id"], unheard["turn_id"]) == (ID, turn)


def test_the_sweep_names_the_request_of_each_turn_it_acts_on(
    visitor: Visitor, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    turn = Turn.objects.get(pk=visitor.told(headers={"X-Request-Id": ID})["turn_id"])
    Turn.objects.filter(pk=turn.pk).update(
        status="running",
        claimed_by=7,
        claimed_epoch=0,
        finished_at=None,
        answer_by=timezone.now() + dt.timedelta(seconds=50),
    )
    sweep.run(may_free=True)
    assert about(lines(), "turn_freed")["request_id"] == ID

    Turn.objects.filter(pk=turn.pk).update(answer_by=timezone.now() - dt.timedelta(seconds=1), status="queued")
    sweep.run(may_free=False)
    closed = about(lines(), "turn_closed")
    assert (closed["request_id"], closed["turn_id"], closed["code"]) == (ID, str(turn.pk), "model_timeout")


def test_a_turn_that_a_stopping_worker_returns_is_named(
    visitor: Visitor, model: FakeModel, lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving.processes, "stop_claiming", lambda: None)
    model.reply("too late", delay=1.5)
    answers: list[Any] = []
    client = threading.Thread(target=lambda: answers.append(visitor.say(headers={"X-Request-Id": ID})))
    client.start()
    while not model.requests:
        time.sleep(0.02)

    assert leaving.leave(grace_seconds=0) == 1
    client.join(20)

    assert about(lines(), "turn_returned")["request_id"] == ID
    assert answers[0].status_code == 200 and turns.in_flight() == []
