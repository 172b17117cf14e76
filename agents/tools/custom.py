"""Custom tools: what their addresses may look like, and the one HTTP call that a template and arguments make."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from agents.llm.base import ToolSpec
from agents.tools.reading import BadCall
from halo.errors import HaloError, InvalidRequest

# What the turn fills in. The model can neither choose nor see these values.
OF_THE_TURN = ("visitor.user_id", "visitor.company_id", "visitor.email", "conversation.id")
MAX_URL = 4000
_TEMPLATE = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?"
    r"(?P<path>/[^?#\\\s]*)?(?:\?(?P<query>[^#\\\s]*))?\Z"
)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class CustomCard:
    """A custom tool as it is offered; holds no secret, so it may be kept in memory."""

    id: uuid.UUID
    spec: ToolSpec
    needs_verified_user: bool
    needs_confirmation: bool
    # Asking twice changes nothing more than asking once.
    is_repeatable: bool
    # Asking changes nothing at all.
    is_reading: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a turn is about, for the places of a template that the model does not fill."""

    user_id: str = ""
    company_id: str = ""
    email: str = ""
    conversation_id: str = ""

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Subject:
        """The subject of values by name: `visitor.user_id` and the like."""
        return cls(*(values.get(name, "") for name in OF_THE_TURN))

    def value(self, name: str) -> str:
        """What stands for `visitor.user_id` and the like; empty where it is not known."""
        values = (self.user_id, self.company_id, self.email, self.conversation_id)
        return dict(zip(OF_THE_TURN, values, strict=True))[name]


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One call, ready to be sent but for its headers."""

    method: str
    url: str
    body: bytes = b""


def check_template(template: str, *, schema: Mapping[str, Any], plain_hosts: Iterable[str] = ()) -> str:
    """`template`, trimmed, where it is an address whose every place can be filled; else InvalidRequest.

    http is for `plain_hosts` only. `schema` has passed agents.tools.schemas.check_schema.
    """
    template = template.strip()
    found = _TEMPLATE.match(template)
    if not found or not template.isprintable() or int(found["port"] or 1) not in range(1, 65536):
        raise _refusal(
            "The address is a URL such as https://api.example.com/orders/{order_id}, without a password or fragment, "
            "and with places for arguments only after the host."
        )
    # SECURITY: what travels without TLS can be read and changed; only the operator may allow a host that.
    if found["scheme"] == "http" and found["host"].lower() not in {host.lower() for host in plain_hosts}:
        raise _refusal("The address must begin with https://.")
    path, query = found["path"] or "", found["query"] or ""
    if re.search(r"[{}]", _PLACEHOLDER.sub("", path + query)):
        raise _refusal("A place in the address is written {argument}, with one pair of braces.")
    properties, required = schema.get("properties", {}), schema.get("required", [])
    for name in _PLACEHOLDER.findall(path + query):
        if name in OF_THE_TURN:
            continue
        if name not in properties:
            raise _refusal(f"{{{name[:50]}}} is neither an argument nor one of {', '.join(OF_THE_TURN)}.")
        if name not in required:
            raise _refusal(f"{{{name}}} stands in the address, so it must be among the required arguments.")
    if any(_is_dots(_PLACEHOLDER.sub("x", segment)) for segment in path.split("/")):
        raise _refusal("The path must not hold . or ..")
    # SECURITY: of two values for one name the receiver may believe the second, which would be the model's.
    fixed = {name for name, _ in parse_qsl(_PLACEHOLDER.sub("x", query), keep_blank_values=True)}
    twice = sorted(fixed & (set(properties) - set(_PLACEHOLDER.findall(path + query))))
    if twice:
        raise _refusal(f"“{twice[0]}” is in the query already, so no argument can be sent there by that name.")
    return template


def origin_of(template: str) -> str:
    """Scheme, host and port of an address, for comparison; empty where it is none."""
    found = _TEMPLATE.match(template.strip())
    if not found:
        return ""
    port = found["port"] or {"http": "80", "https": "443"}[found["scheme"]]
    return f"{found['scheme']}://{found['host'].lower()}:{int(port)}"


def places_of(template: str) -> set[str]:
    """The names that stand in an address."""
    return set(_PLACEHOLDER.findall(template))


def needs_user(template: str) -> bool:
    """Whether the address names the visitor."""
    return any(name.startswith("visitor.") for name in places_of(template))


def fill(*, method: str, template: str, arguments: Mapping[str, Any], subject: Subject) -> HttpCall:
    """The call that `arguments` make of a checked `template`; BadCall where a value cannot stand in its place."""
    found = _TEMPLATE.match(template)
    if found is None:
        raise BadCall("This tool is not set up correctly.")
    used: set[str] = set()

    def value_of(name: str) -> str:
        # SECURITY: who and which conversation comes from the turn, whatever the model's arguments are called.
        if name in OF_THE_TURN:
            value = subject.value(name)
            if not value:
                what = {"visitor.user_id": "user", "visitor.company_id": "company", "visitor.email": "e-mail address"}
                raise BadCall(f"This works only for a visitor whose {what.get(name, 'conversation')} is known.")
            return value
        used.add(name)
        return _as_word(name, arguments.get(name))

    segments = [_segment(segment, value_of) for segment in (found["path"] or "/").split("/")]
    query = _PLACEHOLDER.sub(lambda place: quote(_clean(value_of(place[1])), safe=""), found["query"] or "")
    rest = {name: value for name, value in arguments.items() if name not in used}
    body = b""
    if method in ("GET", "DELETE"):
        query = "&".join(filter(None, [query, urlencode(list(_pairs(rest)))]))
    else:
        body = json.dumps(rest, ensure_ascii=False).encode()
    base = template[: found.start("path")] if found["path"] else template.partition("?")[0]
    url = f"{base}{'/'.join(segments)}" + (f"?{query}" if query else "")
    if len(url) > MAX_URL:
        raise BadCall("The arguments make the address too long.")
    # SECURITY: nothing that was filled in has moved the call to another place.
    if origin_of(urlsplit(url)._replace(path="", query="").geturl()) != origin_of(template):
        raise BadCall("The arguments cannot be sent.")
    return HttpCall(method, url, body)


def _segment(segment: str, value_of: Any) -> str:
    filled = _PLACEHOLDER.sub(lambda place: quote(_in_path(value_of(place[1])), safe=""), segment)
    # SECURITY: a value must not climb out of its segment, nor make it vanish.
    if segment and _is_dots(filled):
        raise BadCall("An argument cannot be . or .. or empty.")
    return filled


def _in_path(value: str) -> str:
    # Receivers may decode before, or twice before, they look at slashes.
    for seen in (value, unquote(value), unquote(unquote(value))):
        if not seen.strip() or any(part.strip() in (".", "..", "") for part in re.split(r"[/\\]", seen)):
            raise BadCall("An argument cannot be . or .. or empty, nor hold such a part.")
    return _clean(value)


def _clean(value: str) -> str:
    if _CONTROLS.search(value):
        raise BadCall("An argument holds a control character.")
    return value


def _as_word(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise BadCall(f"The argument {name!r} must be a text, a number or true or false.")


def _pairs(arguments: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in arguments.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                yield name, item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def _is_dots(segment: str) -> bool:
    return unquote(segment) in (".", "..")


def _refusal(message: str) -> HaloError:
    return InvalidRequest(message, field="url_template")
