"""The hands of a rehearsal: they search, and otherwise only write down what would have happened."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from agents import tools
from agents.brain import CallResult, Round, Thought
from agents.config import AgentConfig
from agents.llm.base import ToolRequest
from conversations.thinking import Progress, excerpts_for
from halo.api.strict_json import storable


@dataclass(slots=True)
class RehearsingHands:
    """Performs the calls of a try-out in memory: no row, no ticket, no effect. `calls` is what was asked for."""

    org_id: uuid.UUID
    config: AgentConfig
    verified: bool
    calls: list[dict[str, Any]] = field(default_factory=list)

    def replay(self, progress: Progress) -> None:
        """See thinking.Hands; nothing was committed."""

    def perform(self, thought: Thought, progress: Progress) -> None:
        """See thinking.Hands."""
        results = [self._call(asked, progress) for asked in thought.tool_requests]
        progress.rounds.append(Round(said=thought.text, calls=tuple(results)))

    def _call(self, asked: ToolRequest, progress: Progress) -> CallResult:
        step, failed = progress.calls, False
        progress.calls += 1
        try:
            result = self._result(asked, step, progress)
        except tools.BadCall as error:
            failed, result = True, {"error": error.message}
            progress.errors += 1
        text = tools.as_text(result)
        self.calls.append(
            {"name": storable(asked.name), "arguments": storable(asked.arguments), "result": text, "failed": failed}
        )
        return CallResult(id=asked.id, name=asked.name, arguments=asked.arguments, result=text)

    def _result(self, asked: ToolRequest, step: int, progress: Progress) -> dict[str, Any]:
        arguments = tools.read_arguments(asked.name, asked.arguments)
        if asked.name == tools.SEARCH.name:
            found = excerpts_for(
                self.org_id, arguments["query"], sources=self.config.sources, first_number=(step + 1) * 10 + 1
            )
            progress.excerpts += found
            names = ("n", "title", "text", "url", "score", "article_id", "lead")
            return {"passages": [{name: getattr(excerpt, name) for name in names} for excerpt in found]}
        progress.escalation = progress.escalation or arguments["reason"]
        return {"status": "A person of the team will be told. Say so to the visitor.", **arguments}
