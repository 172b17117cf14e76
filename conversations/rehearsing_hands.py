"""The hands of a rehearsal: they search and read, and otherwise only write down what would have happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agents.brain import CallResult, Round, Thought
from agents.llm.base import ToolRequest
from agents.models import CustomTool
from agents.tools import builtin, calls, sending
from agents.tools.calls import Call
from agents.tools.custom import fill
from agents.tools.offered import Toolbox
from agents.tools.reading import BadCall, as_text
from conversations import steps
from conversations.thinking import Case, Effect, Progress
from halo.api.strict_json import storable


@dataclass(slots=True)
class RehearsingHands:
    """Performs the calls of a try-out in memory: no row, no ticket, no effect. `calls` is what was asked for."""

    case: Case
    calls: list[dict[str, Any]] = field(default_factory=list)

    def replay(self, progress: Progress, *, tools: Toolbox, deadline: float) -> None:
        """See thinking.Hands; nothing was committed."""

    def perform(self, thought: Thought, progress: Progress, *, tools: Toolbox, deadline: float) -> None:
        """See thinking.Hands."""
        results = [
            self._call(asked, place, progress, tools, deadline) for place, asked in enumerate(thought.tool_requests)
        ]
        progress.rounds.append(Round(said=thought.text, calls=tuple(results)))

    def _call(self, asked: ToolRequest, place: int, progress: Progress, tools: Toolbox, deadline: float) -> CallResult:
        step, failed = progress.calls, False
        progress.calls += 1
        try:
            call = steps.sound_call(
                name=asked.name,
                arguments=asked.arguments,
                step=step,
                place=place,
                case=self.case,
                progress=progress,
                tools=tools,
            )
            result = self._result(call, step, progress, deadline)
        except BadCall as error:
            failed, result = True, {"error": error.message}
            progress.errors += 1
        text = as_text(result)
        self.calls.append(
            {"name": storable(asked.name), "arguments": storable(asked.arguments), "result": text, "failed": failed}
        )
        return CallResult(id=asked.id, name=asked.name, arguments=asked.arguments, result=text)

    def _result(self, call: Call, step: int, progress: Progress, deadline: float) -> dict[str, Any]:
        if call.name == builtin.SEARCH.name:
            found = steps.look_up(call, step=step, case=self.case)
            progress.excerpts += found
            return steps.shown(found)
        if call.name == builtin.ESCALATE.name:
            progress.escalation = progress.escalation or call.arguments["reason"]
            return steps.called_for_person(call, case=self.case)
        progress.tally.count(call)
        if call.custom is None:
            progress.effects.append(Effect(call.name, step, call.arguments))
            return calls.promised(call)
        if call.custom.is_reading and not call.custom.needs_confirmation:
            return self._read(call, step, deadline)
        if call.custom.needs_confirmation:
            progress.asked.append(call)
        else:
            progress.effects.append(Effect("custom", step, {"name": call.name, "arguments": call.arguments}))
        return calls.dry_result(call)

    def _read(self, call: Call, step: int, deadline: float) -> dict[str, Any]:
        """What only reads is really asked, so that the answer can be judged."""
        assert call.custom is not None
        tool = CustomTool.objects.for_org(self.case.org).filter(pk=call.custom.id, is_active=True).first()
        if tool is None:
            raise BadCall("This tool is not available any more.")
        http_call = fill(
            method=tool.method, template=tool.url_template, arguments=call.arguments, subject=self.case.subject
        )
        outcome = sending.send_for(tool, http_call, effect_key=f"halo-rehearsal-{step}", deadline=deadline)
        return outcome.result
