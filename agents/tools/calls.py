"""From what a model asked for to a call that makes sense, and what is told to the model about it.

Plain data in, plain data out: whether anything happens is decided by whoever holds the call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.tools import builtin, guiding
from agents.tools.custom import CustomCard
from agents.tools.offered import Toolbox
from agents.tools.reading import BadCall, key_of, read_arguments


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose arguments are sound; `custom` is set for a custom tool."""

    name: str
    arguments: dict[str, Any]
    custom: CustomCard | None = None

    @property
    def key(self) -> str:
        """The same for calls that ask for exactly the same."""
        return key_of(self.name, self.arguments)

    def in_words(self) -> str:
        """What would be done with which arguments, on one line for people."""
        name = self.name.replace("_", " ").capitalize()
        listed = ", ".join(f"{key}: {_plain(value)}" for key, value in self.arguments.items())
        return f"{name} ({listed})" if listed else name


@dataclass(slots=True)
class Tally:
    """What was done in a turn, for limits and against doing it twice."""

    tickets: int = 0
    highlights: int = 0
    led_to: str = ""
    done: set[str] = field(default_factory=set)

    def count(self, call: Call) -> None:
        """Notes a call that was, or will be, carried out."""
        self.done.add(call.key)
        self.tickets += call.name == builtin.TICKET.name
        self.highlights += call.name == builtin.HIGHLIGHT.name
        if call.name == builtin.NAVIGATE.name:
            self.led_to = call.arguments["url"]


def read_call(
    *,
    name: str,
    arguments: str,
    toolbox: Toolbox,
    page: str = "",
    origins: Callable[[], Collection[str]] = tuple,
) -> Call:
    """The call in the model's words; BadCall says to the model what is wrong with it.

    `page`: the address that the visitor's browser named; `origins`: further origins of the site, asked if needed.
    """
    spec = toolbox.spec(name)
    if spec is None:
        raise BadCall(
            f"There is no tool with that name. The tools are: {', '.join(tool.name for tool in toolbox.specs)}."
        )
    given = read_arguments(spec, arguments)
    if name == builtin.HIGHLIGHT.name:
        given = {"selector": guiding.check_selector(given["selector"])} | (
            {"label": guiding.check_label(given["label"])} if given.get("label") else {}
        )
    elif name == builtin.NAVIGATE.name:
        given = {"url": guiding.same_site(given["url"], page=page, origins=origins)}
    return Call(name, given, toolbox.custom.get(name))


def check_numbers(*, step: int, place: int) -> None:
    """BadCall for a call past the limits; `step` counts in the turn, `place` in the round, both from 0."""
    if step >= builtin.MAX_CALLS:
        raise BadCall("No calls are left in this turn. Answer with what you have.")
    if place >= builtin.MAX_CALLS_A_ROUND:
        raise BadCall(f"At most {builtin.MAX_CALLS_A_ROUND} calls are made at once. Ask again for this one if needed.")


def check_surplus(call: Call, tally: Tally) -> None:
    """BadCall for what was done in this turn already, or often enough."""
    reading = call.custom.is_reading and not call.custom.needs_confirmation if call.custom else False
    if call.key in tally.done and call.name not in (builtin.SEARCH.name, builtin.ESCALATE.name) and not reading:
        raise BadCall("You have made exactly this call in this turn already; it counts once.")
    if call.name == builtin.TICKET.name and tally.tickets >= builtin.MAX_TICKETS:
        raise BadCall(f"At most {builtin.MAX_TICKETS} tickets can be made in one answer.")
    if call.name == builtin.HIGHLIGHT.name and tally.highlights >= builtin.MAX_HIGHLIGHTS:
        raise BadCall(f"At most {builtin.MAX_HIGHLIGHTS} elements can be highlighted in one answer.")
    if call.name == builtin.NAVIGATE.name and tally.led_to:
        raise BadCall(f"The visitor is led to {tally.led_to} already; nobody can be in two places.")


def promised(call: Call) -> dict[str, Any]:
    """What the model is told of a call whose effect comes with its answer."""
    told = {
        builtin.ESCALATE.name: "A person of the team will be told. Say so to the visitor.",
        builtin.TICKET.name: "The ticket is opened together with your answer. Say so to the visitor.",
        builtin.HIGHLIGHT.name: "The element is highlighted together with your answer.",
        builtin.NAVIGATE.name: "The visitor is led there together with your answer.",
    }
    shown = {} if call.name == builtin.TICKET.name else call.arguments
    return {"status": told[call.name], **shown}


def asked(call: Call) -> dict[str, Any]:
    """What the model is told of a call that the visitor must agree to."""
    return {
        "status": "Nothing was sent: the visitor must agree first. Ask them in one plain question that names what will "
        "be done and every argument. If their next message is a yes, make this call again with just these arguments.",
        "call": call.name,
        "arguments": call.arguments,
    }


def dry_result(call: Call) -> dict[str, Any]:
    """What a call would do, where nothing may happen."""
    if call.custom is None:
        return promised(call)
    if call.custom.needs_confirmation:
        return asked(call)
    return {"status": "Rehearsal: nothing was sent. Go on as if it had been done.", "would_do": call.in_words()}


def with_questions(text: str, calls: Sequence[Call]) -> str:
    """`text` with every call that waits for a yes laid out in it, name and arguments."""
    # SECURITY: the visitor agrees to what they have read, not to what the model had in mind.
    said = text.casefold()
    untold = [
        call
        for call in calls
        if "?" not in text or not all(_plain(value).casefold() in said for value in call.arguments.values())
    ]
    lines = [f"Please answer “yes” if this is to be done: {call.in_words()}" for call in untold]
    return "\n\n".join([text, *lines])


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())
