"""The tools an agent may ask for, and how what it asked is read. Performing them is not this module's work."""

from __future__ import annotations

import json
from typing import Any

from agents.llm.base import ToolSpec
from halo.api import strict_json
from halo.errors import HaloError

MAX_ROUNDS = 8

SEARCH = ToolSpec(
    name="search_knowledge",
    description="Search the knowledge base again with words of your own, when the passages given do not answer.",
    parameters={
        "type": "object",
        "properties": {"query": {"type": "string", "description": "What to look for, in plain words."}},
        "required": ["query"],
        "additionalProperties": False,
    },
)
ESCALATE = ToolSpec(
    name="escalate",
    description=(
        "Hand the conversation to a person of the support team: when the visitor asks for one, or you cannot help. "
        "Tell the visitor so in your answer."
    ),
    parameters={
        "type": "object",
        "properties": {"reason": {"type": "string", "description": "Why, in one sentence for the team."}},
        "required": ["reason"],
        "additionalProperties": False,
    },
)
ALL = {tool.name: tool for tool in (SEARCH, ESCALATE)}


class BadCall(HaloError):
    """The model asked for something that does not exist or makes no sense; the message goes back to the model."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_tool_call", message)


def read_arguments(name: str, arguments: str) -> dict[str, Any]:
    """The arguments of a call to a known tool; BadCall says to the model what is wrong with them."""
    tool = ALL.get(name)
    if tool is None:
        raise BadCall(f"There is no tool with that name. The tools are: {', '.join(ALL)}.")
    try:
        value = strict_json.parse_object((arguments or "{}").encode("utf-8", "surrogatepass"))
    except HaloError as error:
        raise BadCall(f"The arguments cannot be read: {error.message}") from None
    for key in tool.parameters["required"]:
        # Every argument of our own tools is a text.
        if not isinstance(value.get(key), str) or not value[key].strip():
            raise BadCall(f"The argument {key!r} is missing or not a text.")
    return {key: strict_json.storable(value[key]) for key in tool.parameters["required"]}


def as_text(result: dict[str, Any]) -> str:
    """A tool's result as the model reads it."""
    return json.dumps(result, ensure_ascii=False)
