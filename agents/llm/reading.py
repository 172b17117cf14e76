"""From the bytes of a chat completion, streamed or whole, to a reply. Whoever wrote them is not trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from agents.llm.base import FailureKind, ModelError, ModelReply, ToolRequest, Usage

MAX_TEXT = 20_000  # characters
MAX_TOOL_REQUESTS = 32
MAX_TOOL_CHARS = 100_000  # names, ids and arguments of one reply together
MAX_NAME = 200

_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f]")  # with \r, so that \r\n becomes \n
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without control characters but \\n and \\t; lone surrogates become U+FFFD."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a body, without their ends, each as soon as it is complete."""
    rest: list[bytes] = []
    for piece in pieces:
        if b"\n" not in piece:
            rest.append(piece)
            continue
        *whole, last = (b"".join(rest) + piece).split(b"\n")
        yield from (line.rstrip(b"\r") for line in whole)
        rest = [last]
    if end := b"".join(rest):
        yield end


def kind_of(status: object) -> FailureKind:
    """What an HTTP status of 300 and above, or the like in an error object, means for a call."""
    if status == 429:
        return "rate_limited"
    if isinstance(status, int) and not isinstance(status, bool) and status < 500:
        return "rejected"
    return "unavailable"


class ReplyReader:
    """Collects one reply; text goes to `on_text` as it comes. Every method raises ModelError for what is not one."""

    def __init__(self, model: str, on_text: Callable[[str], None] | None) -> None:
        self.finish_reason = ""
        self.full = False  # the text has reached its cap: read no further
        self._ended = False
        self._on_text = on_text
        self._texts: list[str] = []
        self._room = MAX_TEXT
        self._calls: list[_Call] = []
        self._tool_chars = 0
        self._model = model
        self._usage = Usage()

    @property
    def started(self) -> bool:
        """Whether there has been any text."""
        return bool(self._texts)

    def read_line(self, line: bytes) -> bool:
        """One line of a stream of server-sent events; whether the stream is over."""
        if not line.startswith(b"data:"):
            return False
        data = line[5:].strip()
        if data == b"[DONE]":
            self._ended = True
            return True
        self._read(self.parse(data), "delta")
        return self.full

    def read_whole(self, body: bytes) -> None:
        """A completion that was not streamed, though that was asked for."""
        answer = self.parse(body)
        if not answer.get("choices"):
            self._refuse_error(answer)
            raise self.failure("broken", "The model's answer holds no choices.")
        self._read(answer, "message")
        self._ended = True

    def reply(self) -> ModelReply:
        """What was read, once it has ended."""
        if self.full:
            return self._reply([], "length", truncated=True)
        if not (self._ended or self.finish_reason):
            raise self.failure("cut", "The model's answer broke off before its end.")
        requests = self._tool_requests()
        if not requests and not "".join(self._texts).strip():
            raise self.failure("blank", "The model gave a blank answer.")
        return self._reply(requests, self.finish_reason or "stop")

    def failure(self, kind: FailureKind, message: str, *, retry_after: float | None = None) -> ModelError:
        """An error that knows whether text had been passed on before it."""
        return ModelError(kind, message, retry_after=retry_after, started=self.started)

    def parse(self, data: bytes) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self.failure("broken", "The model's answer is not a JSON object.") from None
        return value

    def _read(self, part: dict[str, Any], content_field: str) -> None:
        self._refuse_error(part)
        if isinstance(model := part.get("model"), str) and model:
            self._model = clean(model)[:MAX_NAME]
        if isinstance(usage := part.get("usage"), dict):
            self._usage = Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))
        choices = part.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        content = choice.get(content_field)
        if isinstance(content, dict):
            if text := clean(_text_of(content.get("content"))):
                self._take_text(text)
            if isinstance(calls := content.get("tool_calls"), list):
                for place, call in enumerate(calls):
                    self._take_call(call, place)
        if isinstance(reason := choice.get("finish_reason"), str):
            self.finish_reason = clean(reason)[:MAX_NAME]

    def _refuse_error(self, part: dict[str, Any]) -> None:
        if error := part.get("error"):
            status = error.get("code") if isinstance(error, dict) else None
            raise self.failure(kind_of(status), "The model's endpoint reported an error instead of an answer.")

    def _take_text(self, text: str) -> None:
        if len(text) > self._room:
            self.full = True
            text = text[: self._room]
        self._room -= len(text)
        if text:
            self._texts.append(text)
            if self._on_text:
                self._on_text(text)

    def _take_call(self, delta: object, place: int) -> None:
        if not isinstance(delta, dict):
            return
        function = delta.get("function")
        if not isinstance(function, dict):
            return
        index, call_id, name = delta.get("index"), delta.get("id"), function.get("name")
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)  # some servers do not pack them
        call = self._call_at(index if isinstance(index, int) else place, call_id if isinstance(call_id, str) else "")
        if isinstance(name, str) and not call.name:
            call.name = clean(name)[:MAX_NAME]
        if isinstance(arguments, str):
            self._tool_chars += len(arguments)
            if self._tool_chars > MAX_TOOL_CHARS:
                raise self.failure("broken", "The model's tool requests are too long.")
            call.arguments.append(arguments)

    def _call_at(self, index: int, call_id: str) -> _Call:
        for call in reversed(self._calls):
            # Some servers number every call 0: then another id tells that it is another call.
            if call.index == index and (not call_id or not call.id or call.id == call_id):
                call.id = call.id or call_id
                return call
        if len(self._calls) == MAX_TOOL_REQUESTS:
            raise self.failure("broken", "The model asks for too many tools at once.")
        call = _Call(index, call_id)
        self._calls.append(call)
        return call

    def _tool_requests(self) -> list[ToolRequest]:
        requests: list[ToolRequest] = []
        seen: set[str] = set()
        for position, call in enumerate(self._calls):
            call_id = clean(call.id)[:MAX_NAME]
            if not call_id or call_id in seen:
                call_id = f"call_{position}_{call_id}"[:MAX_NAME]
            seen.add(call_id)
            requests.append(ToolRequest(call_id, call.name, clean("".join(call.arguments))))
        return requests

    def _reply(self, requests: list[ToolRequest], reason: str, *, truncated: bool = False) -> ModelReply:
        return ModelReply("".join(self._texts), requests, reason, self._model, self._usage, truncated)


class _Call:
    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: int, call_id: str) -> None:
        self.index = index
        self.id = call_id
        self.name = ""
        self.arguments: list[str] = []


def _text_of(content: object) -> str:
    """Content is text, or a list of parts, of which some are text (others the model's reasoning)."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(text for text in parts if isinstance(text, str))
    return ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else 0
