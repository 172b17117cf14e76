"""The OpenAI-compatible backend against a real socket on the other side, well-behaved and not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agents.llm.base import ModelReply, ModelRequest, ToolSpec, Usage
from agents.llm.calls import call
from agents.llm.openai_backend import OpenAIBackend
from tests.fake_model import FakeModel, Reply

LOOK_UP = ToolSpec("look_up", "Looks something up.", {"type": "object", "properties": {"id": {"type": "string"}}})


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model


def backend(model: FakeModel, /, **options: Any) -> OpenAIBackend:
    return OpenAIBackend(**{"base_url": model.base_url, "api_key": "sk-secret", "model": "tiny"} | options)


def asking(text: str = "How are you?", **fields: Any) -> ModelRequest:
    fields = {"messages": [{"role": "user", "content": text}], "tools": []} | fields
    return ModelRequest(question=text, excerpts=[], **fields)


def ask(model: FakeModel, request: ModelRequest | None = None, /, *, seconds: float = 10, **options: Any) -> ModelReply:
    return backend(model, **options).stream(request or asking(), deadline=time.monotonic() + seconds)


def test_text_is_passed_on_as_it_comes_and_returned_whole(model: FakeModel) -> None:
    pieces: list[str] = []
    reply = backend(model).stream(asking(), deadline=time.monotonic() + 10, on_text=pieces.append)
    assert pieces == ["You", " said:", " How", " are", " you?"]
    assert reply.text == "You said: How are you?"
    assert (reply.finish_reason, reply.model, reply.truncated, reply.tool_requests) == ("stop", "tiny", False, [])
    assert reply.usage.completion_tokens == 5
    assert reply.usage.prompt_tokens > 0


def test_a_request_carries_what_was_asked_for_and_nothing_else(
    model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer of-the-house\nX-Of-The-House: secret")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-house")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Wie heißt das?"}, picture]},
    ]
    ask(model, asking("Wie heißt das?", messages=messages, tools=[LOOK_UP], temperature=0.2, max_tokens=300))
    [request] = model.requests
    assert request.path == "/v1/chat/completions"
    assert request.body == {
        "model": "tiny",
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.2,
        "max_tokens": 300,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look_up",
                    "description": "Looks something up.",
                    "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
                },
            }
        ],
    }
    assert request.headers["authorization"] == "Bearer sk-secret"
    assert request.headers.keys() == {
        *("host", "authorization", "content-type", "content-length", "accept", "accept-encoding", "user-agent")
    }


def test_an_endpoint_without_a_key_gets_none_of_the_environment(
    model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-house")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin")
    ask(model, api_key="")
    assert model.requests[0].headers["authorization"] == "Bearer none"


def test_a_cookie_that_the_endpoint_sets_is_not_sent_back(model: FakeModel) -> None:
    model.reply("Hello", headers={"Set-Cookie": "who=me"})
    one = backend(model)
    for _ in range(2):
        one.stream(asking(), deadline=time.monotonic() + 10)
    assert "cookie" not in model.requests[1].headers


def test_a_header_need_not_be_ascii(model: FakeModel) -> None:
    model.reply("Hello", headers={"X-Served-By": "Zoë"})
    assert ask(model).text == "Hello"


def test_connections_are_used_again(model: FakeModel) -> None:
    for _ in range(5):
        ask(model)
    assert model.connections == 1


def test_a_connection_that_the_endpoint_closed_meanwhile_does_no_harm(model: FakeModel) -> None:
    one = backend(model)
    model.reply("First", hang_up=True)
    for _ in range(2):
        # Where its end has not arrived yet, the second call is the one that is retried.
        call(one, asking(), deadline=time.monotonic() + 10)
    assert model.connections == 2


def test_hundreds_of_calls_wait_at_once(model: FakeModel) -> None:
    model.default = Reply(delay=0.5)
    one = backend(model)

    def hear(number: int) -> str:
        return one.stream(asking(f"number {number}"), deadline=time.monotonic() + 30).text

    started = time.monotonic()
    with ThreadPoolExecutor(200) as pool:
        texts = list(pool.map(hear, range(200)))
    assert texts == [f"You said: number {number}" for number in range(200)]
    assert time.monotonic() - started < 20


def test_tool_requests_are_put_together_from_their_pieces(model: FakeModel) -> None:
    model.reply("Let me see.", tool_calls=[("look_up", {"id": "x" * 1000}), ("look_up", {"id": "2"})])
    reply = ask(model, asking(tools=[LOOK_UP]))
    assert reply.text == "Let me see."
    assert reply.finish_reason == "tool_calls"
    assert [json.loads(request.arguments)["id"] for request in reply.tool_requests] == ["x" * 1000, "2"]
    assert [request.id for request in reply.tool_requests] == ["call_0", "call_1"]


def test_an_unknown_tool_and_arguments_that_are_not_json_are_handed_over_as_they_are(model: FakeModel) -> None:
    model.reply(tool_calls=[("no_such_tool", '{"id": ')])
    [request] = ask(model, asking(tools=[LOOK_UP])).tool_requests
    assert (request.name, request.arguments) == ("no_such_tool", '{"id": ')


def test_tool_requests_that_all_have_the_number_0_are_told_apart_by_their_ids(model: FakeModel) -> None:
    model.reply(
        body=events(tool_delta(0, "a", "first", "{}"), tool_delta(0, "b", "second", "{}"), finish("tool_calls"))
    )
    assert [(request.id, request.name) for request in ask(model).tool_requests] == [("a", "first"), ("b", "second")]


def test_tool_requests_without_an_id_get_one(model: FakeModel) -> None:
    model.reply(body=events(tool_delta(0, "", "first", "{}"), tool_delta(1, "", "second", "{}"), finish("tool_calls")))
    first, second = ask(model).tool_requests
    assert first.id and second.id and first.id != second.id


def test_an_answer_that_is_not_streamed_is_read_too(model: FakeModel) -> None:
    model.reply("All at once", whole=True, tool_calls=[("look_up", {"id": "1"})])
    pieces: list[str] = []
    reply = backend(model).stream(asking(), deadline=time.monotonic() + 10, on_text=pieces.append)
    assert pieces == [reply.text] == ["All at once"]
    assert reply.tool_requests[0].name == "look_up"


def test_a_models_reasoning_is_not_its_answer(model: FakeModel) -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "42"}]
    model.reply(body=events({"reasoning_content": "Hm."}, {"content": None}, {"content": parts}, finish("stop")))
    assert ask(model).text == "42"


def test_control_characters_and_lone_surrogates_are_cleaned_away(model: FakeModel) -> None:
    model.reply(chunks=["a\0b\x1b[1m", "one\r", "\ntwo\tthree", "\x85\x7f", "\ud83d!", "\U0001f600"])
    assert ask(model).text == "ab[1mone\ntwo\tthree\ufffd!\U0001f600"


def test_control_characters_are_cleaned_out_of_tool_requests(model: FakeModel) -> None:
    model.reply(tool_calls=[("look\0_up", '{"id":\0 "1"}')])
    [request] = ask(model).tool_requests
    assert (request.name, request.arguments) == ("look_up", '{"id": "1"}')


def test_text_ends_at_twenty_thousand_characters(model: FakeModel) -> None:
    model.reply(chunks=["x" * 900] * 100, chunk_delay=0.01)
    pieces: list[str] = []
    reply = backend(model).stream(asking(), deadline=time.monotonic() + 10, on_text=pieces.append)
    assert (len(reply.text), reply.finish_reason, reply.truncated) == (20_000, "length", True)
    assert "".join(pieces) == reply.text


def test_two_megabytes_in_one_piece_are_cut_to_the_cap(model: FakeModel) -> None:
    model.reply("y" * 2_000_000)
    assert len(ask(model).text) == 20_000


def test_twenty_thousand_characters_are_not_too_many(model: FakeModel) -> None:
    model.reply(chunks=["x" * 10_000] * 2)
    reply = ask(model)
    assert (len(reply.text), reply.finish_reason, reply.truncated) == (20_000, "stop", False)


def test_an_endpoint_that_refuses_stream_options_is_asked_without_them_from_then_on(model: FakeModel) -> None:
    model.reply(refuse="stream_options", times=None)
    one = backend(model)
    for _ in range(2):
        reply = one.stream(asking(), deadline=time.monotonic() + 10)
        assert (reply.text, reply.usage) == ("You said: How are you?", Usage())
    assert ["stream_options" in request.body for request in model.requests] == [True, False, False]


def test_a_model_that_wants_max_completion_tokens_gets_them(model: FakeModel) -> None:
    model.reply(refuse="max_tokens", times=None)
    ask(model, asking(max_tokens=99))
    assert "max_tokens" not in model.requests[-1].body
    assert model.requests[-1].body["max_completion_tokens"] == 99


def test_usage_and_done_may_fail_to_come_once_the_model_has_finished(model: FakeModel) -> None:
    model.reply("Done.", done=False, usage=False, then_hang=True)
    started = time.monotonic()
    assert ask(model).text == "Done."
    assert time.monotonic() - started < 5


def test_what_the_listener_raises_ends_the_call_and_passes_through(model: FakeModel) -> None:
    class Overtaken(Exception):
        pass

    def listen(text: str) -> None:
        raise Overtaken

    model.reply("one two three", chunk_delay=30)
    with pytest.raises(Overtaken):
        backend(model).stream(asking(), deadline=time.monotonic() + 10, on_text=listen)
    assert ask(model).text == "You said: How are you?"


def test_a_forked_process_makes_its_own_connections(model: FakeModel, pytestconfig: pytest.Config) -> None:
    script = f"""
import os, time
from agents.llm.base import ModelRequest
from agents.llm.calls import call
from agents.llm.openai_backend import OpenAIBackend
backend = OpenAIBackend(base_url={model.base_url!r}, model="tiny")
def ask():
    request = ModelRequest([{{"role": "user", "content": str(os.getpid())}}], [], "", [])
    return backend.stream(request, deadline=time.monotonic() + 20).text == f"You said: {{os.getpid()}}"
assert ask()
child = os.fork()
answers = [ask() for _ in range(20)]
if not child:
    os._exit(0 if all(answers) else 1)
assert all(answers) and os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=pytestconfig.rootpath)
    assert len(model.requests) == 41
    assert model.connections == 2


def events(*deltas: dict[str, Any]) -> bytes:
    """A stream whose deltas are written out; send it as a body."""
    lines = []
    for delta in deltas:
        choice = delta if "finish_reason" in delta else {"index": 0, "delta": delta}
        lines.append(b"data: " + json.dumps({"choices": [choice]}).encode())
    return b"\n\n".join([*lines, b"data: [DONE]", b""])


def finish(reason: str) -> dict[str, Any]:
    return {"index": 0, "delta": {}, "finish_reason": reason}


def tool_delta(index: int, call_id: str, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]}
