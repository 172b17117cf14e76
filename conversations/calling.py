"""Calls of custom tools: asked about where they must be, begun in one commit, sent at most once."""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from agents import wishes
from agents.models import CustomTool
from agents.tools import calls, sending
from agents.tools.calls import Call
from agents.tools.custom import HttpCall, fill
from agents.tools.offered import Toolbox, card_of
from agents.tools.reading import BadCall, read_arguments
from conversations.models import ToolCall, Turn
from conversations.recording import Overtaken
from conversations.thinking import Case
from conversations.turns import Claim

log = structlog.get_logger(__name__)
Outcome = tuple[str, dict[str, Any]]


def stand(held: Claim) -> None:
    """Locks the turn's row while the claim stands; raises Overtaken where it does not. Inside a transaction."""
    standing = Turn.objects.for_org(held.org_id).filter(
        pk=held.turn_id, status=Turn.Status.RUNNING, claimed_by=held.process_id, attempt=held.attempt
    )
    if standing.select_for_update().values_list("pk").first() is None:
        raise Overtaken


def lost_on_the_way(row: ToolCall, tools: Toolbox) -> dict[str, Any] | None:
    """What is told of a call that an earlier attempt began and did not finish; None where it may be made (again)."""
    if row.started_at is None:
        return None
    card = tools.custom.get(row.name)
    if card is not None and card.is_repeatable:
        return None
    return sending.unknown("The process that made the call ended before the answer came.")


def call_out(row: ToolCall, call: Call, *, case: Case, turn: Turn, held: Claim, deadline: float) -> Outcome:
    """Makes the call of `row`, or has the visitor asked; no connection and no transaction is open meanwhile.

    Raises BadCall where the call cannot be made, Overtaken where the claim no longer stands.
    """
    # SECURITY: never on the model's word: the visitor was asked about exactly this call in the answer before, and what
    # they wrote now, in one message or several, is a yes and nothing else.
    agreed = call.key in case.waiting and wishes.is_consent(" ".join(case.briefing.messages))
    fresh = row.started_at is None
    begun = _begin(row, call, case=case, turn=turn, held=held, agreed=agreed or not fresh)
    if begun is None:
        return ToolCall.Status.ASKED, calls.asked(call)
    tool, http_call = begun
    started = time.monotonic()
    outcome = sending.send_for(tool, http_call, effect_key=row.effect_key, deadline=deadline)
    ms = round((time.monotonic() - started) * 1000)
    log.info("tool_called", tool=str(tool.pk), outcome=outcome.kind, http_status=outcome.status, ms=ms)
    row.http_status = outcome.status or None
    if outcome.never_left and fresh:
        # Nothing was begun, so it may be tried again.
        row.started_at = None
        ToolCall.objects.for_org(held.org_id).filter(pk=row.pk).update(started_at=None)
    return outcome.kind, outcome.result


def _begin(
    row: ToolCall, call: Call, *, case: Case, turn: Turn, held: Claim, agreed: bool
) -> tuple[CustomTool, HttpCall] | None:
    """Commits that the call of `row` begins, with the tool as it is now; None where the visitor is to be asked."""
    assert call.custom is not None
    with transaction.atomic():
        stand(held)
        # Address and headers are read together: headers belong to the address that they were entered for.
        tool = CustomTool.objects.for_org(held.org_id).filter(pk=call.custom.id, is_active=True).first()
        if tool is None or tool.name != call.name:
            raise BadCall("This tool is not available any more.")
        # SECURITY: what is offered was decided before; what counts is how the tool is set up when it is used.
        if tool.needs_verified_user and not turn.verified:
            raise BadCall("This needs a visitor who has proved who they are. Ask them to log in.")
        arguments = read_arguments(card_of(tool).spec, row.arguments)
        http_call = fill(method=tool.method, template=tool.url_template, arguments=arguments, subject=case.subject)
        if tool.needs_confirmation and not agreed:
            return None
        row.started_at = row.started_at or timezone.now()
        ToolCall.objects.for_org(held.org_id).filter(pk=row.pk).update(started_at=row.started_at)
    return tool, http_call
