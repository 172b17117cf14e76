"""Custom tools' calls: one HTTP call through the outgoing door, and its answer as the model may see it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agents.models import CustomTool
from agents.tools.custom import HttpCall
from halo.api import strict_json
from halo.db import release_connection
from halo.errors import HaloError, InvalidRequest
from halo.outgoing.client import NotReached, fetch

MAX_ANSWER = 64 * 1024  # bytes that are read
MAX_SHOWN = 8_000  # characters that a model is shown
MAX_HEADERS = 20
REDACTED = "[redacted]"

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,3998}[\x21-\x7e])?\Z")
# Ours, the connection's, or such as would let a call be read as another one.
_OURS = {
    *("host", "content-length", "content-type", "transfer-encoding", "connection", "keep-alive", "te", "trailer"),
    *(
        "upgrade",
        "expect",
        "accept-encoding",
        "user-agent",
        "idempotency-key",
        "proxy-authorization",
        "proxy-connection",
    ),
}
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call. `unknown`: it left, and whether it had an effect is not known; `status` 0: no answer."""

    kind: Literal["done", "failed", "unknown"]
    status: int
    result: dict[str, Any]
    never_left: bool = False


def check_headers(value: Any) -> dict[str, str]:
    """`value` as headers of a custom tool; InvalidRequest says what is wrong with it, without repeating a value."""
    if not isinstance(value, dict) or len(value) > MAX_HEADERS:
        raise _refusal(f'Headers are a JSON object such as {{"Authorization": "Bearer …"}}, at most {MAX_HEADERS}.')
    for name, text in value.items():
        if not _NAME.match(name) or name.lower() in _OURS:
            raise _refusal(f"A header cannot be named {name[:100]!r}; some names are Halo's own.")
        if not isinstance(text, str) or not _VALUE.match(text):
            raise _refusal(f"The value of {name} must be a text of plain characters on one line.")
    if len({name.lower() for name in value}) != len(value):
        raise _refusal("A header is named twice.")
    return dict(value)


def read_headers(stored: str) -> dict[str, str]:
    """The headers of a tool from its encrypted column."""
    return dict(json.loads(stored)) if stored else {}


def send_for(tool: CustomTool, call: HttpCall, *, effect_key: str, deadline: float) -> Outcome:
    """`send` as `tool` is set up, within its time and `deadline`. No connection is held meanwhile."""
    release_connection()
    return send(
        call,
        headers=read_headers(tool.headers),
        effect_key=effect_key,
        repeatable=tool.is_idempotent or tool.method == CustomTool.Method.GET,
        deadline=min(deadline, time.monotonic() + tool.timeout_seconds),
    )


def send(call: HttpCall, *, headers: Mapping[str, str], effect_key: str, repeatable: bool, deadline: float) -> Outcome:
    """Makes the call; `deadline` is a time.monotonic() value. Redirects are answers, and are not followed.

    Whatever the receiver echoes, the values of `headers` are not in what is returned.
    """
    ours = {"Accept": "application/json, text/plain;q=0.9, */*;q=0.1", "Idempotency-Key": effect_key}
    if call.body:
        ours["Content-Type"] = "application/json"
    # Nothing that staff entered takes the place of ours.
    chosen = {name: value for name, value in headers.items() if name.lower() not in {key.lower() for key in ours}}
    try:
        answer = fetch(
            call.url,
            deadline=deadline,
            max_bytes=MAX_ANSWER,
            method=call.method,
            headers={**chosen, **ours},
            body=call.body,
        )
    except NotReached as error:
        if error.kind == "refused":
            return Outcome("failed", 0, {"error": f"The call was not made. {error.message}"}, never_left=True)
        if repeatable:
            return Outcome("failed", 0, {"error": error.message})
        return Outcome("unknown", 0, unknown(error.message))
    shown = shown_to_model(answer.body, secrets=headers.values())
    if 200 <= answer.status < 300:
        return Outcome("done", answer.status, {"status": answer.status, "body": shown})
    return Outcome("failed", answer.status, {"error": f"The answer was HTTP {answer.status}.", "body": shown})


def unknown(why: str) -> dict[str, Any]:
    """What the model is told where nobody knows whether a call had its effect."""
    return {
        "error": f"Outcome unknown: {why} It may or may not have happened. Do not try again, and do not tell the "
        "visitor that it was done; say that the team can check."
    }


def shown_to_model(body: bytes, *, secrets: Any) -> Any:
    """An answer as data: JSON where it is JSON and short enough, else text, cut; without control characters."""
    text = body.decode("utf-8", "replace")
    words = sorted(_secret_words(secrets), key=len, reverse=True)
    value = _redacted(_parsed(text), words)
    if value is not None and len(json.dumps(value, ensure_ascii=False)) <= MAX_SHOWN:
        return value
    # Cut last: half a secret would not be recognised.
    cleaned = _redacted_text(text, words)
    return cleaned if len(cleaned) <= MAX_SHOWN else f"{cleaned[:MAX_SHOWN]}… [cut]"


def _parsed(text: str) -> Any:
    try:
        return strict_json.parse_object(f'{{"value": {text}}}'.encode()).get("value")
    except HaloError:
        return None


def _secret_words(values: Any) -> set[str]:
    """The values, the words in them (`Bearer` is none), and the forms in which they may be echoed."""
    words: set[str] = set()
    for value in values:
        words |= {value, *(word for word in value.split() if len(word) >= 2 * _SHORTEST_SECRET)}
    words = {word for word in words if len(word) >= _SHORTEST_SECRET}
    return words | {json.dumps(word)[1:-1] for word in words} | {word.replace("/", "\\/") for word in words}


def _redacted(value: Any, words: list[str]) -> Any:
    if isinstance(value, str):
        return _redacted_text(value, words)
    if isinstance(value, list):
        return [_redacted(item, words) for item in value]
    if isinstance(value, dict):
        return {_redacted_text(key, words): _redacted(item, words) for key, item in value.items()}
    # A secret of digits may come back as a number.
    return REDACTED if any(word in json.dumps(value) for word in words) else value


def _redacted_text(text: str, words: list[str]) -> str:
    text = strict_json.storable(_CONTROLS.sub("", text))
    for word in words:
        text = text.replace(word, REDACTED)
    return text


def _refusal(message: str) -> HaloError:
    return InvalidRequest(message, field="headers")
