"""What the OpenAI-compatible backend makes of endpoints that are slow, broken, hostile or not there."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agents.llm.base import ModelError, ModelReply, ModelRequest
from agents.llm.openai_backend import OpenAIBackend
from tests.fake_model import FakeModel


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model


def ask(model: FakeModel, text: str = "How are you?", /, *, seconds: float = 10, **options: Any) -> ModelReply:
    options = {"base_url": model.base_url, "api_key": "sk-secret", "model": "tiny"} | options
    messages = [{"role": "user", "content": text}]
    request = ModelRequest(messages=messages, tools=[], question=text, excerpts=[])
    return OpenAIBackend(**options).stream(request, deadline=time.monotonic() + seconds)


def failure(model: FakeModel, *, seconds: float = 10, **reply: Any) -> ModelError:
    model.reply(**reply)
    with pytest.raises(ModelError) as caught:
        ask(model, seconds=seconds)
    return caught.value


DRIPS = {
    "silence": {"silent": True},
    "headers that drip": {"drip": 0.05},
    "a body that drips": {"drip_body": 0.05},
    "a whole answer that drips": {"drip_body": 0.05, "whole": True},
    "a first token that never comes": {"first_delay": 60.0},
    "comments for ever": {"body": b": still here\n\n" * 2000, "content_type": "text/event-stream", "drip_body": 0.001},
    "an error that drips": {"status": 500, "drip_body": 0.05},
}


@pytest.mark.parametrize("reply", DRIPS.values(), ids=DRIPS)
def test_the_deadline_holds_against(model: FakeModel, reply: dict[str, Any]) -> None:
    started = time.monotonic()
    assert failure(model, seconds=0.4, **reply).kind == "timeout"
    assert 0.35 < time.monotonic() - started < 3


def test_the_deadline_holds_against_a_server_that_never_reads(model: FakeModel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        with pytest.raises(ModelError) as caught:
            ask(model, "x" * 8_000_000, base_url=address, seconds=0.4)
    assert caught.value.kind == "timeout"


def test_the_deadline_holds_against_a_slow_name_server(model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        time.sleep(2)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        ask(model, base_url="http://slow.example/v1", seconds=0.3)
    assert caught.value.kind == "timeout"
    assert time.monotonic() - started < 1.5


def test_a_time_out_in_the_middle_says_that_text_was_passed_on(model: FakeModel) -> None:
    error = failure(model, seconds=0.4, text="Well, you", chunk_delay=0.3)
    assert (error.kind, error.started, error.code, error.status) == ("timeout", True, "model_timeout", 504)


FAILURES: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "429": ("rate_limited", False, {"status": 429}),
    "500": ("unavailable", False, {"status": 500}),
    "529": ("unavailable", False, {"status": 529}),
    "401": ("rejected", False, {"status": 401}),
    "400 about something else": ("rejected", False, {"status": 400}),
    "a redirect": ("rejected", False, {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}),
    "a drop before any text": ("unavailable", False, {"cut_after": 0}),
    "a drop in the middle": ("cut", True, {"cut_after": 2}),
    "an end without a finish reason": ("cut", True, {"finish_reason": None, "done": False}),
    "an empty stream": ("cut", False, {"body": b"", "content_type": "text/event-stream"}),
    "blank text": ("blank", True, {"text": " \n "}),
    "no text": ("blank", False, {"text": ""}),
    "a content filter": ("blank", False, {"text": "", "finish_reason": "content_filter"}),
    "html": ("broken", False, {"body": b"<html>", "content_type": "text/html"}),
    "broken json": ("broken", False, {"body": b'{"choices": [', "content_type": "application/json"}),
    "json of another kind": ("broken", False, {"body": b'{"ok": true}', "content_type": "application/json"}),
    "broken json in an event": ("broken", False, {"body": b"data: {oops\n\n"}),
    "deep json": ("broken", False, {"body": b"[" * 100_000, "content_type": "application/json"}),
    "an error in the stream": ("rejected", False, {"body": b'data: {"error": {"code": 400}}\n\n'}),
    "an overload in the stream": ("unavailable", False, {"body": b'data: {"error": {"message": "overloaded"}}\n\n'}),
    "five megabytes": ("broken", False, {"body": b" " * 5_000_000, "content_type": "application/json"}),
    "a bomb": ("broken", False, {"headers": {"Content-Encoding": "gzip"}}),
    "an error of unknown charset": ("unavailable", False, {"status": 500, "content_type": "text/plain; charset=bogus"}),
    "a body that is too short": (
        "unavailable",
        False,
        {"whole": True, "headers": {"Content-Length": "5000"}, "hang_up": True},
    ),
}


@pytest.mark.parametrize(("kind", "started", "reply"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_told_by_its_kind(model: FakeModel, kind: str, started: bool, reply: dict[str, Any]) -> None:
    error = failure(model, **reply)
    assert (error.kind, error.started) == (kind, started)
    assert len(model.requests) == 1


def test_retry_after_is_read_as_seconds_and_as_a_date(model: FakeModel) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    for value, low, high in (("1.5", 1.5, 1.5), ("1e9", 1e9, 1e9), (date, 27, 31), ("-3", 0, 0)):
        error = failure(model, status=429, headers={"Retry-After": value})
        assert error.retry_after is not None
        assert low <= error.retry_after <= high
    for value in ("soon", "nan"):
        assert failure(model, status=429, headers={"Retry-After": value}).retry_after is None


def test_too_many_tool_requests_are_broken(model: FakeModel) -> None:
    model.reply(tool_calls=[("look_up", {})] * 32)
    assert len(ask(model).tool_requests) == 32
    assert failure(model, tool_calls=[("look_up", {})] * 33).kind == "broken"


def test_too_long_tool_requests_are_broken(model: FakeModel) -> None:
    assert failure(model, tool_calls=[("look_up", {"id": "x" * 100_001})]).kind == "broken"


def test_a_server_that_is_not_there_is_unavailable(model: FakeModel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    with pytest.raises(ModelError) as caught:
        ask(model, base_url=address)
    assert caught.value.kind == "unavailable"


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "ftp://127.0.0.1/v1"},
        {"base_url": "https://name:secret-word@127.0.0.1/v1"},
        {"base_url": "http://[::1/v1"},
        {"base_url": "127.0.0.1/v1"},
        {"model": ""},
        {"api_key": "sk-\r\nHost: elsewhere"},
    ],
)
def test_a_backend_that_is_set_up_wrongly_is_rejected(model: FakeModel, options: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        ask(model, **options)
    assert caught.value.kind == "rejected"
    assert model.requests == []


def test_no_failure_and_no_log_line_holds_the_key_or_what_was_said(
    model: FakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for _, _, reply in FAILURES.values():
        error = failure(model, **reply)
        told = f"{error} {error.message} {error!r}"
        assert "sk-secret" not in told and "How are you" not in told and "127.0.0.1" not in told
    assert "sk-secret" not in caplog.text
    assert "How are you" not in caplog.text
    assert model.base_url not in caplog.text
