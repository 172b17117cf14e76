"""How a stream of events looks on the wire: server-sent events, or plain text with framed actions."""

from __future__ import annotations

import errno
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.http import StreamingHttpResponse

from conversations.streaming import Event
from conversations.watching import Told
from halo.api.exceptions import error_body
from halo.errors import HaloError

EVENT_STREAM = "text/event-stream"
FRAME = "\x1e"


def as_events(events: Iterable[Event], *, request_id: str, headers: dict[str, str]) -> StreamingHttpResponse:
    """Server-sent events, each with an id that `Last-Event-ID` takes up again."""
    return _response((_framed(event, request_id).encode() for event in events), EVENT_STREAM, headers)


def as_live(watch: Told) -> StreamingHttpResponse:
    """A conversation as it goes on; the id of a `message` is what `Last-Event-ID` takes up again."""
    response = _response(_live(watch), EVENT_STREAM, {})
    # Also where not one event was asked for: a generator that was never begun would not be ended either.
    response._resource_closers.append(watch.close)  # type: ignore[attr-defined]
    return response


def as_text(events: Iterable[Event], *, headers: dict[str, str]) -> StreamingHttpResponse:
    """Text as it comes, actions in frames, and all of them in the last one.

    Raises the HaloError of a turn that fails before its first word. Nothing can be taken back here, so a turn that
    fails later breaks the connection off.
    """
    told = iter(events)
    for event in told:
        if event.kind == "error":
            raise event.data["error"]
        if event.kind in ("delta", "action", "done"):
            return _response(_text(itertools.chain([event], told)), "text/plain; charset=utf-8", headers)
    raise AssertionError("a stream ends with done or error")


def _framed(event: Event, request_id: str) -> str:
    if event.kind == "waiting":
        return ": still waiting\n\n"
    data: Any = event.data
    if event.kind == "error":
        failure: HaloError = event.data["error"]
        data = error_body(failure.code, failure.message, field=failure.field, request_id=request_id)
    return f"id: {event.at}\nevent: {event.kind}\ndata: {_json(data)}\n\n"


def _live(watch: Told) -> Iterator[bytes]:
    for event in watch:
        if event.kind == "waiting":
            yield b": still here\n\n"
        else:
            at = f"id: {event.id}\n" if event.id else ""
            yield f"{at}event: {event.kind}\ndata: {_json(event.data)}\n\n".encode()


def _text(events: Iterable[Event]) -> Iterator[bytes]:
    for event in events:
        if event.kind == "delta":
            yield event.data["text"].encode()
        elif event.kind == "action":
            yield f"{FRAME}__ACTION__{_json(event.data)}{FRAME}".encode()
        elif event.kind == "done":
            yield f"{FRAME}__ACTIONS__{_json(event.data['actions'])}{FRAME}".encode()
        elif event.kind in ("error", "reset"):
            raise BrokenPipeError(errno.EPIPE, "what was sent is not how the answer begins")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _response(body: Iterable[bytes], kind: str, headers: dict[str, str]) -> StreamingHttpResponse:
    # Neither a cache nor a proxy may keep anything back.
    return StreamingHttpResponse(
        body, content_type=kind, headers={"Cache-Control": "no-cache, no-store", "X-Accel-Buffering": "no", **headers}
    )
