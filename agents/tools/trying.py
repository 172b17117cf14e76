"""A custom tool tried out by hand: one real call, made as a turn makes it, by somebody who says what with."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass

import structlog

from agents.models import CustomTool
from agents.tools.custom import Subject, fill
from agents.tools.offered import card_of
from agents.tools.reading import BadCall, read_arguments
from agents.tools.sending import Outcome, read_headers, send_for
from halo import wire
from halo.errors import InvalidRequest, Unavailable
from orgs import audit
from orgs.models import User
from orgs.services import Conflict

log = structlog.get_logger(__name__)
# How long a form that was sent is known, so that it is not sent a second time.
KNOWN_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Trial:
    """What was sent, without the values of the tool's headers, and what came of it, as a model would be told."""

    method: str
    url: str
    header_names: list[str]
    effect_key: str
    body: str
    outcome: Outcome
    milliseconds: int


def try_out(*, tool: CustomTool, arguments: str, subject: Subject, key: uuid.UUID, by: User) -> Trial:
    """Makes the call, whether the tool is active or not. `key` names the form that was sent; it is good for one call.

    Raises InvalidRequest where the call cannot be made, Conflict where `key` was used, and Unavailable where that
    cannot be known.
    """
    try:
        # Address and headers are read together: headers belong to the address that they were entered for.
        tool = CustomTool.objects.for_org(tool.org_id).get(pk=tool.pk)
        given = read_arguments(card_of(tool).spec, arguments)
        call = fill(method=tool.method, template=tool.url_template, arguments=given, subject=subject)
    except CustomTool.DoesNotExist:
        raise Conflict("The tool was deleted meanwhile.") from None
    except BadCall as error:
        raise InvalidRequest(error.message, field="arguments") from None
    _use(key, by)
    # Before the call: whatever becomes of it, it is known who made it.
    audit.record(
        org=tool.org_id,
        actor=by,
        action="customtool.tried",
        target=tool,
        after={"method": call.method, "arguments": given},
    )
    effect_key = f"halo-try-{key}"
    started = time.monotonic()
    outcome = send_for(tool, call, effect_key=effect_key, deadline=started + tool.timeout_seconds)
    ms = round((time.monotonic() - started) * 1000)
    log.info("tool_tried", tool=str(tool.pk), outcome=outcome.kind, http_status=outcome.status, ms=ms)
    return Trial(
        method=call.method,
        url=call.url,
        # SECURITY: their names only.
        header_names=sorted(read_headers(tool.headers)),
        effect_key=effect_key,
        body=json.dumps(json.loads(call.body), indent=2, ensure_ascii=False) if call.body else "",
        outcome=outcome,
        milliseconds=ms,
    )


def _use(key: uuid.UUID, by: User) -> None:
    """Notes that the form was sent: a page that is loaded again must not order, pay or delete a second time."""
    try:
        with wire.calling() as client:
            fresh = client.set(f"halo:tried:{by.pk}:{key}", "1", nx=True, ex=KNOWN_SECONDS)
    except wire.WireAway:
        raise Unavailable("Redis does not answer at the moment, and try-outs need it. Try again in a minute.") from None
    if not fresh:
        raise Conflict("This was sent already, and the call made once. Press the button to make it again.")
