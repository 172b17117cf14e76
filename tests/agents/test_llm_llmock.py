"""The OpenAI backend and the retry policy against llmock, a mock server that we did not write, as a real process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.llm.base import ModelError, ModelReply, ModelRequest, ToolSpec
from agents.llm.calls import call
from agents.llm.openai_backend import OpenAIBackend

WEATHER = ToolSpec(
    "get_weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


class Mock:
    """A running llmock and its control API."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def control(self, path: str, payload: object = None) -> Any:
        body = None if payload is None else json.dumps(payload).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", data=body), timeout=10) as answer:
            return json.load(answer)

    def expect(self, *behaviors: dict[str, Any]) -> None:
        self.control("/_llmock/scenario", {"behaviors": list(behaviors)})

    def findings(self) -> list[str]:
        """What llmock holds against the client, warnings left out."""
        return [
            str(finding) for finding in self.control("/_llmock/verdict")["findings"] if finding["severity"] != "warning"
        ]

    def calls(self) -> int:
        return int(self.control("/_llmock/requests")["count"])


@pytest.fixture(scope="module")
def process() -> Iterator[Mock]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("llmock")), "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        mock = Mock(port)
        try:
            for _ in range(300):
                try:
                    mock.control("/health")
                    break
                except OSError:
                    assert server.poll() is None
                    time.sleep(0.1)
            yield mock
        finally:
            server.kill()


@pytest.fixture
def mock(process: Mock) -> Mock:
    process.control("/_llmock/reset", {})
    return process


def ask(mock: Mock, *, seconds: float = 10, tools: list[ToolSpec] | None = None) -> ModelReply:
    backend = OpenAIBackend(base_url=f"{mock.url}/v1", api_key="sk-test", model="gpt-4o")
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    request = ModelRequest(messages=messages, tools=tools or [], question="", excerpts=[])
    return call(backend, request, deadline=time.monotonic() + seconds)


def failure(mock: Mock, *behaviors: dict[str, Any], seconds: float = 10) -> ModelError:
    mock.expect(*behaviors)
    with pytest.raises(ModelError) as caught:
        ask(mock, seconds=seconds)
    return caught.value


def test_a_normal_answer(mock: Mock) -> None:
    mock.expect({"type": "reply", "text": "Sunny, 21 degrees."})
    reply = ask(mock)
    assert (reply.text, reply.finish_reason) == ("Sunny, 21 degrees.", "stop")
    assert reply.usage.completion_tokens > 0
    assert mock.findings() == []


def test_a_tool_call(mock: Mock) -> None:
    [request] = ask(mock, tools=[WEATHER]).tool_requests
    assert request.name == "get_weather"
    assert "city" in json.loads(request.arguments)


@pytest.mark.parametrize("kind", ["malformed_arguments", "unknown_tool"])
def test_a_broken_tool_call_is_handed_over(mock: Mock, kind: str) -> None:
    mock.expect({"type": "tool_fault", "kind": kind})
    assert len(ask(mock, tools=[WEATHER]).tool_requests) == 1


@pytest.mark.parametrize("fault", [{"status": 429, "retry_after": 0.3}, {"status": 500}])
def test_a_passing_refusal_is_survived(mock: Mock, fault: dict[str, Any]) -> None:
    mock.expect({"type": "fail", "times": 2} | fault)
    assert ask(mock).text
    assert mock.calls() == 3
    assert mock.findings() == []


def test_an_outage_is_given_up_after_three_calls(mock: Mock) -> None:
    assert failure(mock, {"type": "fail", "status": 500, "times": None}).kind == "unavailable"
    assert mock.calls() == 3


def test_a_long_retry_after_is_not_ignored(mock: Mock) -> None:
    error = failure(mock, {"type": "fail", "status": 429, "retry_after": 60, "times": None})
    assert (error.kind, error.retry_after) == ("rate_limited", 60)
    assert mock.calls() == 1


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_cannot_get_better_is_not_asked_again(mock: Mock, status: int) -> None:
    assert failure(mock, {"type": "fail", "status": status}).kind == "rejected"
    assert mock.calls() == 1
    assert mock.findings() == []


@pytest.mark.parametrize(("kind", "expected"), [("disconnect", "cut"), ("truncate", "cut"), ("malformed", "broken")])
def test_half_a_stream_is_no_answer(mock: Mock, kind: str, expected: str) -> None:
    text = {"type": "reply", "text": "one two three four five six seven eight"}
    error = failure(mock, {"type": "stream_fault", "kind": kind, "after_chunks": 3}, text)
    assert (error.kind, error.started) == (expected, True)
    assert mock.calls() == 1


def test_a_hang_ends_at_the_deadline(mock: Mock) -> None:
    started = time.monotonic()
    stall = {"type": "stream_fault", "kind": "stall", "after_chunks": 1, "stall_seconds": 20}
    assert failure(mock, stall, seconds=0.6).kind == "timeout"
    assert failure(mock, {"type": "delay", "seconds": 20}, seconds=0.4).kind == "timeout"
    assert time.monotonic() - started < 4
