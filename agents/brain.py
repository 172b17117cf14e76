"""How an agent thinks: one round with its model. Returns data and touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.config import AgentConfig
from agents.llm.base import Backend, Excerpt, ModelError, ModelRequest, ToolRequest, ToolSpec, Usage
from agents.llm.calls import call
from agents.prompts.layers import Briefing, dialogue, system_text
from agents.tools.builtin import MAX_CALLS, MAX_ROUNDS


@dataclass(frozen=True, slots=True)
class CallResult:
    """A tool call of an earlier round with what came of it."""

    id: str
    name: str
    arguments: str
    result: str


@dataclass(frozen=True, slots=True)
class Round:
    """An earlier round of the same turn: what the model said, and its calls with their results."""

    said: str
    calls: tuple[CallResult, ...]


@dataclass(frozen=True, slots=True)
class Thought:
    """What one round brought: tool requests to perform before the next round, or the answer."""

    text: str
    tool_requests: list[ToolRequest]
    model: str
    usage: Usage


def think(
    *,
    backend: Backend,
    config: AgentConfig,
    briefing: Briefing,
    excerpts: Sequence[Excerpt],
    rounds: Sequence[Round],
    tools: Sequence[ToolSpec],
    deadline: float,
    on_text: Callable[[str], None] | None = None,
    on_prompt: Callable[[list[dict[str, Any]]], object] | None = None,
    on_retry: Callable[[ModelError, float], object] | None = None,
) -> Thought:
    """Asks the model for the next round; `tools` are what it may ask for, after the last round allowed none.

    `deadline` is a time.monotonic() value. Raises agents.llm.base.ModelError.
    """
    spent = len(rounds) >= MAX_ROUNDS or sum(len(earlier.calls) for earlier in rounds) >= MAX_CALLS
    offered = [] if spent else list(tools)
    abilities = [f"{tool.name}: {tool.description}" for tool in tools]
    messages: list[dict[str, Any]] = [
        {
            "role": "system",
            "content": system_text(config=config, briefing=briefing, excerpts=excerpts, tools=abilities),
        },
        *dialogue(briefing),
    ]
    for earlier in rounds:
        messages += _replayed(earlier)
    if on_prompt:
        # Told before the model is asked, so that it is known also where no answer comes.
        on_prompt(messages)
    reply = call(
        backend,
        ModelRequest(
            messages=messages,
            tools=offered,
            question=briefing.question,
            excerpts=list(excerpts),
            temperature=config.temperature,
            max_tokens=config.max_tokens,
        ),
        deadline=deadline,
        on_text=on_text,
        on_retry=on_retry,
    )
    if not offered and not reply.text.strip():
        raise ModelError("blank", "The model asked for tools although none were left, and said nothing.")
    return Thought(
        text=reply.text,
        tool_requests=reply.tool_requests if offered else [],
        model=reply.model,
        usage=reply.usage,
    )


def _replayed(earlier: Round) -> list[dict[str, Any]]:
    asked = [
        {"id": done.id, "type": "function", "function": {"name": done.name, "arguments": done.arguments}}
        for done in earlier.calls
    ]
    return [
        {"role": "assistant", "content": earlier.said or None, "tool_calls": asked},
        *({"role": "tool", "tool_call_id": done.id, "content": done.result} for done in earlier.calls),
    ]
