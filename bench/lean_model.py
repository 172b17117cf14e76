"""A fake OpenAI-compatible model for load: one asyncio process that does next to nothing, `python bench/lean_model.py`.

Prints its port. `POST /control` with `{"delay", "tokens", "gap"}` says how it answers from then on: so many words after
`delay` seconds, `gap` seconds apart. `GET /calls` tells how many completions were asked for. Faults are for
tests/fake_model.py; this one must not be what is measured.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n%b\r\n\r\n"
_EVENT = (
    b'data: {"id":"chatcmpl-lean","object":"chat.completion.chunk","created":1,"model":"fake",'
    b'"choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n'
)
_USAGE = (
    b'data: {"id":"chatcmpl-lean","object":"chat.completion.chunk","created":1,"model":"fake","choices":[],'
    b'"usage":{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130}}\n\n'
)


class Manner:
    """How the model answers, and how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.follow({"delay": 0.0, "tokens": 30, "gap": 0.0})

    def follow(self, orders: dict[str, Any]) -> None:
        self.delay, self.gap = float(orders["delay"]), float(orders["gap"])
        words = [b"word%d " % number for number in range(int(orders["tokens"]))]
        self.events = [_EVENT % (b'{"role":"assistant","content":"%b"}' % word, b"null") for word in words]
        self.events.append(_EVENT % (b"{}", b'"stop"') + _USAGE + b"data: [DONE]\n\n")
        message = {"role": "assistant", "content": b"".join(words).decode()}
        self.whole = json.dumps(
            {
                "id": "chatcmpl-lean",
                "object": "chat.completion",
                "created": 1,
                "model": "fake",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130},
            }
        ).encode()


class Connection(asyncio.Protocol):
    """One caller; requests come one after another."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, rest = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(rest) < length:
            return
        self.received = rest[length:]
        self.answer(head, rest[:length])

    def answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST /control"):
            self.manner.follow(json.loads(body))
            self.send_whole(b"{}")
        elif head.startswith(b"GET /calls"):
            self.send_whole(b"%d" % self.manner.calls)
        else:
            self.manner.calls += 1
            streamed = b'"stream":true' in body or b'"stream": true' in body
            act = self.stream if streamed else lambda: self.send_whole(self.manner.whole)
            asyncio.get_running_loop().call_later(self.manner.delay, act)

    def send_whole(self, body: bytes) -> None:
        self.transport.write(_HEAD % (b"application/json", b"Content-Length: %d" % len(body)) + body)

    def stream(self) -> None:
        head = _HEAD % (b"text/event-stream", b"Transfer-Encoding: chunked")
        pieces = self.manner.events if self.manner.gap else [b"".join(self.manner.events)]
        self.write_next(head, pieces, 0)

    def write_next(self, head: bytes, pieces: list[bytes], at: int) -> None:
        piece = pieces[at]
        last = at + 1 == len(pieces)
        self.transport.write(head + b"%x\r\n%b\r\n" % (len(piece), piece) + (b"0\r\n\r\n" if last else b""))
        if not last:
            asyncio.get_running_loop().call_later(self.manner.gap, self.write_next, b"", pieces, at + 1)


async def main() -> None:
    manner = Manner()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(manner), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
