"""A line of JSON Lines as a recorded conversation; says what is wrong where it is none."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any

from halo.api import dates
from halo.api.strict_json import parse_object, storable
from halo.errors import HaloError

LONGEST_LINE = 10_000_000
LONGEST_TEXT = 100_000
MOST_MESSAGES = 5_000
LONGEST_KEY = 200
ROLES = ("system", "user", "assistant", "tool")
# With which a simulated visitor tells its simulator that it has finished: nothing that anybody said.
_MARK = re.compile(r"\s*###[A-Z_-]+###\s*$")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?\Z")


class BadLine(Exception):
    """The line is no conversation, and the words say why."""


@dataclass(slots=True)
class Call:
    """A call of a tool; `result` is None where the record has none."""

    id: str
    name: str
    arguments: str
    result: str | None = None


@dataclass(slots=True)
class Said:
    """A message of the agent's: words, calls, or both."""

    text: str
    calls: list[Call] = field(default_factory=list)


@dataclass(slots=True)
class Recorded:
    """A conversation as it was recorded: what the visitor asked, each with all that the agent said and did for it.

    What was asked is empty where the agent spoke first.
    """

    key: str
    exchanges: list[tuple[str, list[Said]]]
    success: bool | None
    instructions: str = ""
    language: str = ""
    model: str = ""
    began: dt.datetime | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def read_line(line: bytes) -> Recorded | None:
    """The conversation in a line, None in an empty one; raises BadLine."""
    if not line.strip():
        return None
    if len(line) > LONGEST_LINE:
        raise BadLine(f"It is longer than {LONGEST_LINE:,} bytes.")
    try:
        row = parse_object(line)
    except HaloError as error:
        raise BadLine(error.message) from None
    key = row.get("id")
    if not isinstance(key, str) or not 0 < len(key.strip()) <= LONGEST_KEY:
        raise BadLine(f"“id” must be a text of 1 to {LONGEST_KEY} characters.")
    success = row.get("success")
    if success is not None and not isinstance(success, bool):
        raise BadLine("“success” must be true, false, or not there.")
    language = row.get("language") or ""
    if not isinstance(language, str) or (language and not _LANGUAGE.match(language)):
        raise BadLine("“language” must be a language tag, such as en or pt-BR.")
    began = row.get("created_at")
    if began is not None and (not isinstance(began, str) or dates.read(began) is None):
        raise BadLine("“created_at” must be a time in ISO 8601.")
    model = row.get("model") or ""
    if not isinstance(model, str):
        raise BadLine("“model” must be a text.")
    instructions, exchanges = _exchanges(row.get("messages"))
    return Recorded(
        key=storable(key.strip()),
        exchanges=exchanges,
        success=success,
        instructions=instructions,
        language=language,
        model=storable(model)[:200],
        began=dates.read(began) if isinstance(began, str) else None,
        facts={name: row[name] for name in ("id", "task", "success", "outcome") if _is_plain(row.get(name))},
    )


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool)) and (not isinstance(value, str) or len(value) <= 500)


def _exchanges(messages: Any) -> tuple[str, list[tuple[str, list[Said]]]]:
    """Instructions, and the talk in exchanges; raises BadLine with the place of a message that makes no sense."""
    if not isinstance(messages, list) or not messages:
        raise BadLine("“messages” must be a list with at least one message.")
    if len(messages) > MOST_MESSAGES:
        raise BadLine(f"It has more than {MOST_MESSAGES:,} messages.")
    instructions: list[str] = []
    exchanges: list[tuple[str, list[Said]]] = []
    open_calls: dict[str, Call] = {}
    for place, message in enumerate(messages, 1):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise BadLine(f"Message {place} has none of the roles {', '.join(ROLES)}.")
        role, text = message["role"], _text(message.get("content"), place)
        if role == "system":
            instructions.append(text)
        elif role == "user":
            words = _MARK.sub("", text).strip()
            if words:
                exchanges.append((words, []))
        elif role == "assistant":
            said = Said(text, _calls(message.get("tool_calls"), place))
            open_calls |= {call.id: call for call in said.calls}
            if not exchanges:
                # It spoke first: a greeting, before anybody had said anything.
                exchanges.append(("", []))
            exchanges[-1][1].append(said)
        else:
            call = open_calls.get(str(message.get("tool_call_id")))
            if call is None:
                raise BadLine(f"Message {place} is the result of a tool call that nobody made.")
            call.result = text
    if not exchanges:
        raise BadLine("Nobody says anything in it.")
    return "\n\n".join(instructions), exchanges


def _text(content: Any, place: int) -> str:
    """Words, or the text parts of OpenAI's list of parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        content = "\n".join(part for part in parts if isinstance(part, str))
    if content is None:
        return ""
    if not isinstance(content, str):
        raise BadLine(f"Message {place} has a “content” that is no text.")
    if len(content) > LONGEST_TEXT:
        raise BadLine(f"Message {place} has more than {LONGEST_TEXT:,} characters.")
    return storable(content)


def _calls(value: Any, place: int) -> list[Call]:
    if value is None:
        return []
    calls = []
    for call in value if isinstance(value, list) else [None]:
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        arguments = function.get("arguments") if isinstance(function, dict) else None
        if call is None or not isinstance(name, str) or not name or not isinstance(arguments, str):
            raise BadLine(f"Message {place} has a tool call without a name, or without arguments as text.")
        key = str(call.get("id") or f"call-{place}")
        calls.append(Call(id=storable(key), name=storable(name), arguments=storable(arguments)))
    return calls
