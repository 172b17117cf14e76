"""The one retry policy: what is asked again, how often, how soon, and what is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from agents.llm.base import ModelError, ModelReply, ModelRequest
from agents.llm.calls import call
from agents.llm.openai_backend import OpenAIBackend
from tests.fake_model import FakeModel

ASKING = ModelRequest(messages=[{"role": "user", "content": "Hi"}], tools=[], question="Hi", excerpts=[])
WELL = "You said: Hi"


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model


def ask(model: FakeModel, pauses: list[float], *, seconds: float = 10, **arguments: Any) -> ModelReply:
    backend = OpenAIBackend(base_url=model.base_url, model="tiny")
    return call(backend, ASKING, deadline=time.monotonic() + seconds, sleep=pauses.append, **arguments)


def failure(model: FakeModel, pauses: list[float], *, seconds: float = 10, **reply: Any) -> ModelError:
    model.reply(times=None, **reply)
    with pytest.raises(ModelError) as caught:
        ask(model, pauses, seconds=seconds)
    return caught.value


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429},
        {"status": 500},
        {"status": 503},
        {"cut_after": 0},
        {"finish_reason": None, "done": False, "text": ""},
    ],
    ids=["429", "500", "503", "drop", "cut"],
)
def test_what_failed_before_any_text_is_asked_twice_more(model: FakeModel, fault: dict[str, Any]) -> None:
    pauses: list[float] = []
    model.reply(times=2, **fault)
    assert ask(model, pauses).text == WELL
    assert len(model.requests) == 3
    first, second = pauses
    assert 0.1 <= first <= 0.3 and 0.2 <= second <= 0.6


def test_a_third_failure_is_the_last(model: FakeModel) -> None:
    pauses: list[float] = []
    assert failure(model, pauses, status=500).kind == "unavailable"
    assert (len(model.requests), len(pauses)) == (3, 2)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400},
        {"status": 404},
        {"cut_after": 2},
        {"text": "well", "finish_reason": None, "done": False},
        {"text": ""},
        {"body": b"{"},
        {"body": b"<html>", "content_type": "text/html"},
    ],
    ids=["400", "404", "drop after text", "cut after text", "blank", "broken", "html"],
)
def test_everything_else_fails_at_once(model: FakeModel, fault: dict[str, Any]) -> None:
    pauses: list[float] = []
    failure(model, pauses, **fault)
    assert (len(model.requests), pauses) == (1, [])


def test_retry_after_is_waited_for_where_it_fits(model: FakeModel) -> None:
    pauses: list[float] = []
    model.reply(status=429, headers={"Retry-After": "3"})
    assert ask(model, pauses).text == WELL
    assert 3 < pauses[0] < 3.5


@pytest.mark.parametrize("value", ["60", "1e9", "inf", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_retry_after_past_the_deadline_is_a_failure_at_once(model: FakeModel, value: str) -> None:
    pauses: list[float] = []
    assert failure(model, pauses, status=429, headers={"Retry-After": value}).kind == "rate_limited"
    assert (len(model.requests), pauses) == (1, [])


def test_there_is_no_pause_past_the_deadline(model: FakeModel) -> None:
    pauses: list[float] = []
    assert failure(model, pauses, seconds=0.1, status=500).kind == "unavailable"
    assert pauses == []


def test_a_call_past_its_deadline_is_not_made(model: FakeModel) -> None:
    with pytest.raises(ModelError) as caught:
        ask(model, [], seconds=-1)
    assert (caught.value.kind, model.requests) == ("timeout", [])


def test_a_time_out_is_not_asked_again(model: FakeModel) -> None:
    assert failure(model, [], seconds=0.3, silent=True).kind == "timeout"
    assert len(model.requests) == 1


def test_text_is_passed_on_once_however_often_it_was_asked_for(model: FakeModel) -> None:
    pieces: list[str] = []
    model.reply(times=2, status=503)
    reply = ask(model, [], on_text=pieces.append)
    assert "".join(pieces) == reply.text == WELL
