"""JSON read strictly: what is ambiguous or cannot be stored is refused before anything looks at it."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from halo.errors import InvalidRequest

MAX_DEPTH = 20
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
# NUL cannot be stored by PostgreSQL, a lone surrogate cannot be encoded as UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`; anything else, or anything lax, raises InvalidRequest."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not valid UTF-8.") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except RecursionError:
        raise InvalidRequest(f"The JSON is nested more than {MAX_DEPTH} levels deep.") from None
    except ValueError:
        raise InvalidRequest("The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    check_depth(value)
    return value


def is_storable(text: str) -> bool:
    """Whether `text` holds neither NUL nor a lone surrogate."""
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """`text` with NUL and lone surrogates replaced by U+FFFD, otherwise untouched."""
    # Most text is so, and a look at it costs a tenth of the search.
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub("�", text)


def storable_tree(value: Any) -> Any:
    """The same JSON value with every string made storable; keys were refused by the parser already."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [storable_tree(item) for item in value]
    if isinstance(value, dict):
        return {key: storable_tree(item) for key, item in value.items()}
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise InvalidRequest("A JSON object has the same key twice.")
    for key in result:
        if not is_storable(key):
            raise InvalidRequest("A JSON key contains a character that cannot be stored.")
    return result


def _constant(name: str) -> NoReturn:
    raise InvalidRequest(f"{name} is not a JSON value.")


def _float(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise InvalidRequest("A number is too large.")
    return number


def _int(literal: str) -> int:
    # 20 characters hold every 64-bit integer; a longer literal is refused before it costs anything.
    if len(literal) > 20 or not INT64_MIN <= (number := int(literal)) <= INT64_MAX:
        raise InvalidRequest("An integer does not fit into 64 bits.")
    return number


def check_depth(value: Any) -> None:
    """Refuses what is nested more than 20 levels deep, the outermost object counted as the first."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise InvalidRequest(f"The JSON is nested more than {MAX_DEPTH} levels deep.")
