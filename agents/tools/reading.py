"""How a call that a model asks for is read: arguments that are JSON, not too much of it, and as the schema says."""

from __future__ import annotations

import json
from typing import Any

from agents.llm.base import ToolSpec
from agents.tools.schemas import problem_with
from halo.api import strict_json
from halo.errors import HaloError

MAX_ARGUMENTS = 8_000  # characters


class BadCall(HaloError):
    """The model asked for something that does not exist or makes no sense; the message goes back to the model."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_tool_call", message)


def read_arguments(spec: ToolSpec, arguments: str) -> dict[str, Any]:
    """The arguments of a call; BadCall says to the model what is wrong with them."""
    if len(arguments) > MAX_ARGUMENTS:
        raise BadCall(f"The arguments are longer than {MAX_ARGUMENTS:,} characters.")
    try:
        value = strict_json.parse_object((arguments.strip() or "{}").encode("utf-8", "surrogatepass"))
    except HaloError as error:
        raise BadCall(f"The arguments cannot be read: {error.message}") from None
    problem = problem_with(value, spec.parameters)
    if problem:
        raise BadCall(f"The arguments do not fit the tool. {problem}")
    for name in spec.parameters.get("required", []):
        if isinstance(value[name], str) and not value[name].strip():
            raise BadCall(f"The argument {name!r} is blank.")
    read: dict[str, Any] = strict_json.storable_tree(value)
    return read


def arguments_of(arguments: str) -> dict[str, Any]:
    """The arguments of a call that was read before, from its row."""
    read: dict[str, Any] = strict_json.storable_tree(json.loads(arguments.strip() or "{}"))
    return read


def key_of(name: str, arguments: dict[str, Any]) -> str:
    """What two calls have in common that ask for exactly the same."""
    return f"{name} {json.dumps(arguments, sort_keys=True, ensure_ascii=False)}"


def as_text(result: dict[str, Any]) -> str:
    """A tool's result as the model reads it."""
    return json.dumps(result, ensure_ascii=False)
