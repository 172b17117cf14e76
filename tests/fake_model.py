"""A fake OpenAI-compatible model on 127.0.0.1 whose every fault is scripted: `with FakeModel() as model: ...`.

Without a script it streams an echo of the last user message. Replies queued by `reply()` and `script()` are used up
in the order in which requests arrive. `python tests/fake_model.py --port N --delay S` runs one by hand.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 429: "Too Many Requests", 500: "Error"}


@dataclass(frozen=True)
class Reply:
    """What the model does with one request; times in seconds."""

    text: str | None = None  # None: an echo, or nothing where there are tool calls
    chunks: list[str] | None = None  # the text, already cut into deltas (else: one delta a word)
    tool_calls: list[tuple[str, Any]] = field(default_factory=list)  # (name, arguments: JSON text or an object)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0  # before the first byte of the answer
    first_delay: float = 0.0  # between the headers and the first delta
    chunk_delay: float = 0.0  # between two deltas
    finish_reason: str | None = "stop"  # None: the stream never says that it ends
    done: bool = True  # False: no [DONE]
    usage: bool = True  # sent only where the request asked for it
    cut_after: int | None = None  # drop the connection (reset) after this many deltas; 0: right after the headers
    silent: bool = False  # accept the request and never answer
    then_hang: bool = False  # send every event and never end the stream
    hang_up: bool = False  # close the connection after the answer, unannounced
    body: bytes | None = None  # this instead of a completion, as `content_type`
    content_type: str | None = None  # None: as is fit
    drip: float = 0.0  # seconds between two bytes, of headers and body alike; or
    drip_body: float = 0.0  # of the body only
    whole: bool = False  # one JSON answer, whatever `stream` says
    refuse: str = ""  # answer 400 and name this field of the request, where the request has it


@dataclass(frozen=True)
class Received:
    """One request as it came in; header names in lower case; `at` is time.monotonic()."""

    path: str
    headers: dict[str, str]
    body: Any
    at: float

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body.get("messages", []))


Script = Reply | Callable[[Received], Reply | None]


class FakeModel:
    """The server; threaded, HTTP/1.1 with keep-alive. `default` answers when the script is used up."""

    def __init__(
        self,
        *,
        port: int = 0,
        delay: float = 0.0,
        default: Reply | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.default = default or Reply(delay=delay)
        self.requests: list[Received] = []
        self.connections = 0
        self._script: deque[tuple[Script, bool]] = deque()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Connection)
        self._server.model = self
        self.port: int = self._server.server_address[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        if tls:
            # The handshake is left to the connection's own thread, which makes it with its first read.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
            self.base_url = f"https://localhost:{self.port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def reply(self, text: str | None = None, *, times: int | None = 1, **fields: Any) -> Self:
        """Queue one reply `times` times (None: for ever); `fields` are those of Reply."""
        reply = Reply(text=text, **fields)
        with self._lock:
            self._script.extend([(reply, False)] * times if times is not None else [(reply, True)])
        return self

    def script(self, *steps: Script) -> Self:
        """Queue steps, each a Reply or a function of the request (None: the default reply)."""
        with self._lock:
            self._script.extend((step, False) for step in steps)
        return self

    def reset(self) -> None:
        """Forget the script and the requests."""
        with self._lock:
            self._script.clear()
            self.requests.clear()

    def answer_to(self, request: Received) -> Reply:
        with self._lock:
            self.requests.append(request)
            step: Script = self.default
            if self._script:
                step, for_ever = self._script[0]
                if not for_ever:
                    self._script.popleft()
        reply = step if isinstance(step, Reply) else step(request) or self.default
        if reply.refuse and reply.refuse not in request.body:
            return replace(reply, refuse="")
        return reply

    def pause(self, seconds: float | None) -> None:
        """Wait; raises ConnectionAbortedError when the server is stopped meanwhile."""
        if seconds == 0:
            return
        if self._stopped.wait(seconds):
            raise ConnectionAbortedError


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 2048
    model: FakeModel

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what this server is for."""


class _Connection(socketserver.StreamRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with self.server.model._lock:
            self.server.model.connections += 1
        while (request := self._read()) is not None and self._answer(request):
            pass

    def _read(self) -> Received | None:
        line = self.rfile.readline().split()
        if len(line) != 3:
            return None
        headers = {}
        while (header := self.rfile.readline().strip()) != b"":
            name, _, value = header.partition(b":")
            headers[name.decode().lower()] = value.strip().decode()
        raw = self.rfile.read(int(headers.get("content-length", 0)))
        return Received(line[1].decode(), headers, json.loads(raw) if raw else {}, time.monotonic())

    def _answer(self, request: Received) -> bool:
        """Whether the connection is kept."""
        model = self.server.model
        reply = model.answer_to(request)
        if reply.silent:
            model.pause(None)
        model.pause(reply.delay)
        body, status = reply.body, reply.status
        if reply.refuse:
            status, body = 400, _error(f"Unrecognized request argument supplied: {reply.refuse}")
        elif body is None and status != 200:
            body = _error(f"scripted failure {status}")
        elif body is None and (reply.whole or not request.body.get("stream")):
            body = _json(_completion(reply, request))
        if body is None:
            return self._stream(reply, request)
        kind = "text/event-stream" if body.startswith(b"data:") else "application/json"
        self._head(status, {"Content-Type": kind, "Content-Length": str(len(body))}, reply)
        self._write(body, reply.drip or reply.drip_body)
        return not reply.hang_up

    def _stream(self, reply: Reply, request: Received) -> bool:
        self._head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}, reply)
        self.server.model.pause(reply.first_delay)
        for number, event in enumerate(_events(reply, request)):
            if reply.cut_after is not None and number >= reply.cut_after:
                # A reset, not an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return False
            if number:
                self.server.model.pause(reply.chunk_delay)
            line = b"data: " + event + b"\n\n"
            self._write(b"%x\r\n%b\r\n" % (len(line), line), reply.drip or reply.drip_body)
        if reply.then_hang:
            self.server.model.pause(None)
        self._write(b"0\r\n\r\n", 0)
        return not reply.hang_up

    def _head(self, status: int, headers: dict[str, str], reply: Reply) -> None:
        headers = headers | ({"Content-Type": reply.content_type} if reply.content_type else {}) | reply.headers
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in headers.items())]
        self._write("\r\n".join([*lines, "", ""]).encode(), reply.drip)

    def _write(self, data: bytes, drip: float) -> None:
        if not drip:
            self.connection.sendall(data)
            return
        for at in range(len(data)):
            self.connection.sendall(data[at : at + 1])
            self.server.model.pause(drip)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _error(message: str) -> bytes:
    return _json({"error": {"message": message, "type": "invalid_request_error", "code": None}})


def _pieces(reply: Reply, request: Received) -> list[str]:
    if reply.chunks is not None:
        return reply.chunks
    text = reply.text
    if text is None:
        text = "" if reply.tool_calls else "You said: " + _last_words(request)
    return [piece for piece in text.replace(" ", "\0 ").split("\0") if piece]


def _last_words(request: Received) -> str:
    for message in reversed(request.messages):
        if message.get("role") == "user":
            content = message["content"]
            if isinstance(content, str):
                return content
            return " ".join(part["text"] for part in content if part.get("type") == "text")
    return ""


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "id": f"call_{index}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            },
        }
        for index, (name, arguments) in enumerate(reply.tool_calls)
    ]


def _finish(reply: Reply) -> str | None:
    return "tool_calls" if reply.tool_calls and reply.finish_reason == "stop" else reply.finish_reason


def _usage(reply: Reply, request: Received) -> dict[str, int]:
    prompt, completion = len(json.dumps(request.body)) // 4, len(_pieces(reply, request))
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _completion(reply: Reply, request: Received) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(_pieces(reply, request)) or None}
    if reply.tool_calls:
        message["tool_calls"] = _calls(reply)
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1,
        "model": request.body.get("model"),
        "choices": [choice],
        "usage": _usage(reply, request),
    }


def _events(reply: Reply, request: Received) -> Iterator[bytes]:
    head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": request.body.get("model")}

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _json(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    first: dict[str, Any] = {"role": "assistant"}
    for piece in _pieces(reply, request):
        yield event(first | {"content": piece})
        first = {}
    for call in _calls(reply):
        # As real servers do it: name and id first, then the arguments in pieces.
        function, arguments = call["function"], call["function"]["arguments"]
        yield event(first | {"tool_calls": [call | {"function": function | {"arguments": ""}}]})
        first = {}
        for at in range(0, len(arguments), 400):
            part = {"index": call["index"], "function": {"arguments": arguments[at : at + 400]}}
            yield event({"tool_calls": [part]})
    if (finish := _finish(reply)) is not None:
        yield event(first, finish)
    if reply.usage and (request.body.get("stream_options") or {}).get("include_usage"):
        yield _json(head | {"choices": [], "usage": _usage(reply, request)})
    if reply.done:
        yield b"[DONE]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--text", help="what to answer (default: an echo)")
    options = parser.parse_args()
    with FakeModel(port=options.port, default=Reply(text=options.text, delay=options.delay)) as model:
        print(model.base_url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
