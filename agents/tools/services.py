"""What staff do to custom tools: checked, written and audited in one transaction, secrets left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from django.conf import settings
from django.db import transaction

from agents.models import CustomTool
from agents.tools import builtin
from agents.tools.custom import check_template, origin_of
from agents.tools.schemas import check_schema
from agents.tools.sending import check_headers, read_headers
from halo.errors import InvalidRequest
from orgs import audit
from orgs.models import User
from orgs.rows import add_row, change_row

_NOT_OURS = {"headers", "org", "id", "created_at"}


@transaction.atomic
def add_tool(*, tool: CustomTool, headers: Mapping[str, str] | None = None, by: User | None) -> CustomTool:
    """Stores the unsaved `tool`; raises InvalidRequest for what cannot be called, Conflict for a taken name."""
    _check(tool)
    tool.headers = _stored(headers or {})
    return add_row(row=tool, by=by)


@transaction.atomic
def change_tool(
    *, tool: CustomTool, names: Iterable[str], headers: Mapping[str, str] | None = None, by: User | None
) -> CustomTool:
    """Writes the named columns of `tool`; `headers` None keeps the stored ones, empty removes them.

    Another origin in its address removes them too. Raises InvalidRequest and Conflict as `add_tool` does.
    """
    names = [name for name in names if name not in _NOT_OURS]
    _check(tool)
    stored = CustomTool.objects.for_org(tool.org_id).select_for_update(no_key=True, of=("self",)).get(pk=tool.pk)
    kept = stored.headers
    if origin_of(stored.url_template) != origin_of(tool.url_template):
        # SECURITY: secrets are only ever sent to the place that they were entered for.
        kept = ""
    tool.headers = kept if headers is None else _stored(headers)
    change_row(row=tool, names=names, by=by)
    if tool.headers != stored.headers:
        tool.save(update_fields=["headers"])
        audit.record(
            org=tool.org_id,
            actor=by,
            action="customtool.headers",
            target=tool,
            before={"headers": sorted(read_headers(stored.headers))},
            after={"headers": sorted(read_headers(tool.headers))},
        )
    return tool


def _check(tool: CustomTool) -> None:
    if tool.name in builtin.BUILT_IN:
        raise InvalidRequest(f"“{tool.name}” is a tool that Halo has already.", field="name")
    tool.parameters = check_schema(tool.parameters)
    tool.url_template = check_template(
        tool.url_template, schema=tool.parameters, plain_hosts=settings.HALO_OUTGOING_HOSTS
    )


def _stored(headers: Mapping[str, str]) -> str:
    return json.dumps(check_headers(dict(headers))) if headers else ""
