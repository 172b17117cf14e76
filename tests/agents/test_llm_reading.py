"""Whatever JSON comes in, the reader returns a clean reply or raises ModelError."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.llm.base import ModelError
from agents.llm.reading import ReplyReader, clean, lines

KEYS = st.sampled_from(
    [
        *("choices", "delta", "message", "content", "tool_calls", "function", "name", "arguments", "id", "index"),
        *("finish_reason", "usage", "prompt_tokens", "completion_tokens", "model", "error", "code", "type", "text"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5))
FUNCTIONS = st.fixed_dictionaries({}, optional={"name": JSON, "arguments": JSON})
CALLS = st.fixed_dictionaries({}, optional={"index": JSON, "id": JSON, "function": FUNCTIONS | JSON})
DELTAS = st.fixed_dictionaries({}, optional={"content": JSON, "tool_calls": st.lists(CALLS | JSON) | JSON})
CHOICES = st.fixed_dictionaries({}, optional={"delta": DELTAS, "message": DELTAS, "finish_reason": JSON})
PARTS = st.fixed_dictionaries({"choices": st.lists(CHOICES) | JSON}, optional={"usage": JSON, "model": JSON}) | JSON


@settings(deadline=None, max_examples=100)
@given(parts=st.lists(PARTS, max_size=4), whole=st.booleans())
def test_any_json_is_read_or_refused(parts: list[Any], whole: bool) -> None:
    told: list[str] = []
    reader = ReplyReader("tiny", told.append)
    try:
        if whole:
            reader.read_whole(json.dumps(parts[0] if parts else None).encode())
        else:
            for part in parts:
                reader.read_line(b"data: " + json.dumps(part).encode())
            reader.read_line(b"data: [DONE]")
        reply = reader.reply()
    except ModelError as error:
        assert error.started == bool(told)
        return
    assert reply.text == "".join(told) == clean(reply.text)
    for request in reply.tool_requests:
        assert request.id and isinstance(request.name, str) and isinstance(request.arguments, str)
    assert len({request.id for request in reply.tool_requests}) == len(reply.tool_requests)
    assert 0 <= reply.usage.prompt_tokens < 2**31


@given(data=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    reader = ReplyReader("tiny", None)
    try:
        for line in lines([data]):
            reader.read_line(line)
        reader.read_whole(data)
    except ModelError:
        pass


@given(data=st.text(alphabet="ab\r\n", max_size=40), sizes=st.lists(st.integers(1, 5)))
def test_lines_are_the_same_however_they_are_cut_into_pieces(data: str, sizes: list[int]) -> None:
    raw, pieces = data.encode(), []
    for size in sizes:
        pieces.append(raw[:size])
        raw = raw[size:]
    assert list(lines([*pieces, raw])) == list(lines([data.encode()]))


@pytest.mark.parametrize(
    ("dirty", "cleaned"),
    [
        ("a\0b", "ab"),
        ("a\r\nb", "a\nb"),
        ("\t\n", "\t\n"),
        ("\x1b[2J", "[2J"),
        ("\x9b31m", "31m"),
        ("\udc80", "\ufffd"),
    ],
)
def test_text_is_cleaned(dirty: str, cleaned: str) -> None:
    assert clean(dirty) == cleaned
