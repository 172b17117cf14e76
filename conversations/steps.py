"""Steps that a call goes through whoever performs it: in a turn, where it counts, and in a try-out, where nothing does.

They touch no row; what is remembered of a call is the hands' own affair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

from agents import escalation
from agents.llm.base import Excerpt
from agents.tools import calls
from agents.tools.calls import Call
from agents.tools.offered import Toolbox
from conversations.thinking import Case, Progress, excerpts_for


def sound_call(
    *,
    name: str,
    arguments: str,
    step: int,
    place: int,
    case: Case,
    progress: Progress,
    tools: Toolbox,
    origins: Callable[[], Collection[str]] = tuple,
) -> Call:
    """The call in the model's words, where it makes sense now; `step` and `place` as `calls.check_numbers` has them.

    Raises BadCall for a call past the limits, of no such tool, with broken arguments, or made in this turn already.
    """
    calls.check_numbers(step=step, place=place)
    call = calls.read_call(name=name, arguments=arguments, toolbox=tools, page=case.page, origins=origins)
    calls.check_surplus(call, progress.tally)
    return call


def look_up(call: Call, *, step: int, case: Case) -> list[Excerpt]:
    """What a search of the model's brings; numbers follow from the step alone, so that a replay issues the same."""
    return excerpts_for(
        case.org.pk, call.arguments["query"], sources=case.config.sources, first_number=(step + 1) * 10 + 1
    )


def shown(found: Sequence[Excerpt]) -> dict[str, Any]:
    """The result of a search as the model is told it."""
    return {"passages": [dataclasses.asdict(excerpt) for excerpt in found]}


def called_for_person(call: Call, *, case: Case) -> dict[str, Any]:
    """What the model is told when it calls for a person."""
    return calls.promised(call) | escalation.told_to_model(
        case.config,
        case.facts,
        messages=case.briefing.messages,
        attempts=case.earlier_answers + 1,
        away=case.away,
    )
