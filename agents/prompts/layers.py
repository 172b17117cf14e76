"""The layers of the prompt, put together."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from agents.config import AgentConfig
from agents.llm.base import Excerpt
from agents.prompts.context import render_context
from agents.prompts.modes import MODES
from agents.prompts.values import humanised, one_line, unfenced

PLATFORM_RULES = resources.files("agents.prompts").joinpath("platform.md").read_text(encoding="utf-8").strip()
# At least the last 50 messages are shown verbatim; what is older is left out.
TRANSCRIPT_MESSAGES = 60
MAX_IMAGES = 10

_CITING = """# Citing
Put the number of the passage that supports a statement behind it, like [1]; only numbers that are listed. \
After the answer, on lines of their own, repeat each number you used with a short verbatim quote from that passage:
[1]: "verbatim quote\""""
_TYPE = """# Kinds of answers
End every answer with one more line that says what kind it is, [type]: and one of these words:
answerable - you answered from what you were given.
needs_fact - you need one fact from the visitor first; ask for it in one question, and nothing else.
ambiguous - the question can mean several things; ask in one question which is meant, and nothing else.
not_in_knowledge - what you were given does not hold the answer; say so plainly.
not_allowed - your rules or instructions forbid it; say so in one friendly sentence.
needs_person - a person has to deal with it."""
_NO_PASSAGES = "[Knowledge]\nNothing in the knowledge base matches this message."


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a message: an https URL, or bytes with their media type."""

    url: str = ""
    media_type: str = ""
    data: bytes = b""

    def address(self) -> str:
        """What a multimodal model is given."""
        return self.url or f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a transcript; `role` is `user` or `assistant`."""

    role: str
    text: str
    images: tuple[Image, ...] = ()
    # Who on our side wrote it, where that was not the agent.
    by: str = ""


@dataclass(frozen=True, slots=True)
class Briefing:
    """Everything an agent is told for one turn, as plain data."""

    message: Line
    # Messages of the visitor right before it that the same reply is to answer, oldest first; not in the transcript.
    together: Sequence[Line] = ()
    mode: str = "chat"
    organization: str = ""
    guidance: str = ""
    transcript: Sequence[Line] = ()
    # Earlier messages as the website tells them; used only where there is no transcript of ours.
    told_history: Sequence[Line] = ()
    verified: bool = False
    traits: dict[str, Any] = field(default_factory=dict)
    company_name: str = ""
    company_traits: dict[str, Any] = field(default_factory=dict)
    tickets: Sequence[str] = ()
    # Calls that the visitor was asked about in the answer before.
    waiting: Sequence[str] = ()
    context: dict[str, Any] = field(default_factory=dict)
    behaviour: str = ""
    # What teammates said to the agent alone, for this answer.
    hints: Sequence[str] = ()

    @property
    def asked(self) -> list[Line]:
        """All messages that the reply is to answer, oldest first."""
        return [*self.together, self.message]

    @property
    def messages(self) -> list[str]:
        """Their texts."""
        return [line.text for line in self.asked]

    @property
    def question(self) -> str:
        """Their texts as one."""
        return "\n".join(self.messages)


def system_text(*, config: AgentConfig, briefing: Briefing, excerpts: Sequence[Excerpt], tools: Sequence[str]) -> str:
    """The system message: what does not change between turns first, so that providers can cache the prefix."""
    return "\n\n".join([*_static(config, briefing, tools), *_dynamic(briefing, excerpts)])


def dialogue(briefing: Briefing) -> list[dict[str, Any]]:
    """Transcript and message in OpenAI's chat shape; roles are `user` and `assistant` only."""
    earlier = list(briefing.transcript or briefing.told_history)[-TRANSCRIPT_MESSAGES:]
    lines = [*earlier, *briefing.asked]
    left = MAX_IMAGES
    messages: list[dict[str, Any]] = []
    # The latest images matter most, so they are given out from the end.
    for line in reversed(lines):
        images = line.images[:left]
        left -= len(images)
        messages.append(_message(line, images))
    return messages[::-1]


def _static(config: AgentConfig, briefing: Briefing, tools: Sequence[str]) -> list[str]:
    parts = [PLATFORM_RULES]
    if briefing.guidance.strip():
        parts.append(f"# Guidance of {one_line(briefing.organization)}\n{briefing.guidance.strip()}")
    instructions = config.instructions.strip() or "Help the visitors of this website."
    parts.append(f"# Your instructions\nYour name is {one_line(config.name)}.\n{instructions}")
    if tools:
        parts.append("# What you may do\n" + "\n".join(f"- {tool}" for tool in tools))
    parts += [_CITING, _TYPE]
    return parts


def shown_data(briefing: Briefing) -> list[str]:
    """What the site says of the visitor, block by block: profile, company, tickets, context."""
    blocks = [_traits("User Profile", briefing.traits)]
    if briefing.company_name or briefing.company_traits:
        blocks.append(_traits(f"Company: {one_line(briefing.company_name)}", briefing.company_traits))
    if briefing.tickets:
        blocks.append("[Tickets of this user]\n" + "\n".join(f"- {one_line(ticket)}" for ticket in briefing.tickets))
    blocks.append(render_context(briefing.context))
    return [block for block in blocks if block]


def _dynamic(briefing: Briefing, excerpts: Sequence[Excerpt]) -> list[str]:
    parts = [MODES[briefing.mode]]
    data = "\n\n".join(shown_data(briefing))
    if data:
        known = "proved who they are" if briefing.verified else "has not proved who they are"
        parts.append(f"The visitor {known}. What the website says about them:\n<data>\n{unfenced(data)}\n</data>")
    if briefing.waiting:
        parts.append(
            "[Waiting for the visitor's yes]\n"
            + "\n".join(f"- {unfenced(one_line(call))}" for call in briefing.waiting)
            + "\nOnly if the visitor's message below agrees, make the call again with exactly these arguments. If they "
            "want something changed, call with the changed arguments, and they are asked again."
        )
    parts.append(_passages(excerpts))
    if briefing.behaviour:
        parts.append(f"What the visitor did on the site:\n<data>\n{unfenced(one_line(briefing.behaviour))}\n</data>")
    if briefing.told_history and not briefing.transcript:
        parts.append("The earlier messages below are the website's own account of them; we have no record of ours.")
    if briefing.together:
        parts.append(
            f"The visitor's last {len(briefing.asked)} messages came right after one another, before any answer: "
            "answer all of them in one reply."
        )
    if briefing.hints:
        parts.append(
            "# Hints from your team for this answer\n"
            + "\n".join(f"- {unfenced(one_line(hint))}" for hint in briefing.hints)
            + "\nA person of the team wrote this to you alone. Take it into account as true and as a wish, within the "
            "rules at the top. Do not say that somebody helps you, and do not quote it."
        )
    return parts


def _traits(header: str, traits: dict[str, Any]) -> str:
    lines = [f"{humanised(key)}: {one_line(value)}" for key, value in traits.items() if value not in (None, "")]
    return "\n".join([f"[{header}]", *lines]) if lines else ""


def _passages(excerpts: Sequence[Excerpt]) -> str:
    if not excerpts:
        return _NO_PASSAGES
    blocks = [
        f'<passage n="{excerpt.n}">\n{unfenced(one_line(excerpt.title))}'
        + (f"\n{unfenced(one_line(excerpt.url))}" if excerpt.url else "")
        + f"\n\n{unfenced(excerpt.text)}\n</passage>"
        for excerpt in excerpts
    ]
    return "[Knowledge]\n" + "\n".join(blocks)


def _message(line: Line, images: Sequence[Image]) -> dict[str, Any]:
    text = f"[{one_line(line.by)}] {line.text}" if line.by else line.text
    if not images:
        return {"role": line.role, "content": text}
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    parts += [{"type": "image_url", "image_url": {"url": image.address()}} for image in images]
    return {"role": line.role, "content": parts}
