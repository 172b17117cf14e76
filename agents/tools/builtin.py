"""The tools that every agent can be given, as the model reads them, and how many calls there may be."""

from __future__ import annotations

from typing import Any

from agents.llm.base import ToolSpec

MAX_ROUNDS = 8
MAX_CALLS_A_ROUND = 8
MAX_CALLS = 24
MAX_TICKETS = 3
MAX_HIGHLIGHTS = 5


def _spec(name: str, description: str, required: dict[str, Any], optional: dict[str, Any] | None = None) -> ToolSpec:
    return ToolSpec(
        name=name,
        description=description,
        parameters={
            "type": "object",
            "properties": {**required, **(optional or {})},
            "required": list(required),
            "additionalProperties": False,
        },
    )


def _text(description: str, most: int) -> dict[str, Any]:
    return {"type": "string", "description": description, "minLength": 1, "maxLength": most}


SEARCH = _spec(
    "search_knowledge",
    "Search the knowledge base again with words of your own, when the passages given do not answer.",
    {"query": _text("What to look for, in plain words.", 1000)},
)
ESCALATE = _spec(
    "escalate",
    "Hand the conversation to a person of the support team: when the visitor asks for one, or you cannot help. "
    "Tell the visitor so in your answer.",
    {"reason": _text("Why, in one sentence for the team.", 1000)},
)
TICKET = _spec(
    "create_ticket",
    "Pass a request on to the support team as a ticket and go on answering: for something that the team has to do or "
    "look into, and that you cannot do yourself. Tell the visitor so in your answer.",
    {
        "subject": _text("What it is about, in a few words.", 200),
        "message": _text("What the team needs to know, with all that the visitor said about it.", 5000),
    },
    {"priority": {"type": "string", "enum": ["normal", "priority"], "description": "`priority` if it cannot wait."}},
)
HIGHLIGHT = _spec(
    "highlight",
    "Point at an element of the page that the visitor is on, while your answer explains it. Use only selectors that "
    "you were given in the data or the passages.",
    {"selector": _text("A CSS selector, such as #reset-password.", 300)},
    {"label": _text("A few words to show beside it.", 100)},
)
NAVIGATE = _spec(
    "navigate",
    "Lead the visitor to another page of this website, once in an answer, when they want to go there. Use only "
    "addresses that you were given in the data or the passages.",
    {"url": _text("A path such as /settings/security, or a full address on this website.", 2000)},
)
BUILT_IN = {tool.name: tool for tool in (SEARCH, ESCALATE, TICKET, HIGHLIGHT, NAVIGATE)}
