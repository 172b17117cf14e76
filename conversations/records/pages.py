"""The export page: what to take away, the file, and how far it has come."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.http.response import StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from conversations.records import progress
from conversations.records.exporting import Export
from conversations.records.files import Kind
from conversations.records.selection import read_selection
from conversations.transcripts.filters import Chosen, Filters, read_filters
from halo.errors import InvalidRequest, RateLimited
from orgs.models import Organization
from orgs.permissions import Action, may, orgs_of
from orgs.staff_admin import acting
from orgs.staff_pages import Door, StaffPage

KINDS = (
    (Kind.CONVERSATIONS, "Conversations (CSV)", "A row each: who, when, how it ended, and the first message."),
    (
        Kind.MESSAGES,
        "Messages (CSV)",
        "A row each: who said it, the text, and of answers their confidence and sources.",
    ),
    (Kind.LINES, "All of it (JSON Lines)", "A line a conversation, with its messages; for programs."),
)

# Filters that have a field on the page; the others come from the transcripts, and can be taken away.
HERE = ("since", "until", "agent")


def show_export(request: HttpRequest, org: Organization) -> HttpResponse:
    """What there is to take away, and from when."""
    filters = read_filters(org, request.GET.dict())
    asked = {"what": request.GET.get("what", "")[:40]}
    asked |= {field.name: field.value for field in filters.fields if field.name in HERE}
    of_org = {"org": str(org.pk)}
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Export",
        "org": org,
        "several_orgs": orgs_of(request.user, Action.EXPORT).count() > 1,
        "kinds": [(kind.value, name, says) for kind, name, says in KINDS],
        "agents": next(field.choices for field in filters.fields if field.name == "agent"),
        "filters": filters,
        "others": [(one, f"{urlencode(of_org)}&{filters.without(one.name)}") for one in _others(filters)],
        "without_text": f"{urlencode(of_org)}&{filters.without('q')}",
        "asked": {**asked, "what": asked["what"] or Kind.CONVERSATIONS.value},
        "may_manage_keys": may(request.user, Action.MANAGE_SECRETS, org),
    }
    return TemplateResponse(request, "admin/halo/export.html", context)


def _others(filters: Filters) -> list[Chosen]:
    """What is in force beside the fields of the page."""
    return [one for one in filters.chosen if one.name not in HERE]


def send_file(request: HttpRequest, org: Organization) -> HttpResponseBase:
    """The file as a download, written while it is read."""
    try:
        selection = read_selection(org, request.GET.dict())
        kind = _kind(request.GET.get("what", ""))
        export = Export(kind=kind, chosen=selection, by=acting(request), key=request.GET.get("key", ""))
    except (InvalidRequest, RateLimited) as refused:
        messages.error(request, refused.message)
        return HttpResponseRedirect(f"{reverse('admin:export')}?org={org.pk}")
    name = f"{org.slug}-{'conversations' if kind is Kind.LINES else kind.value}-{timezone.localdate().isoformat()}"
    response = StreamingHttpResponse(
        export.pieces(),
        content_type=kind.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}.{kind.ending}"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )
    # Also where the client leaves before the first piece: a generator that was never begun would not be ended either.
    response._resource_closers.append(export.close)  # type: ignore[attr-defined]
    return response


def show_progress(request: HttpRequest, org: Organization) -> HttpResponse:
    """How far the export of this key has come."""
    found = progress.look(org.pk, request.GET.get("key", ""))
    said = {"state": found.state, "done": found.done, "total": found.total}
    return JsonResponse(said, headers={"Cache-Control": "no-store"})


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise InvalidRequest("Choose what to export.", field="what") from None


EXPORT = StaffPage(
    name="export",
    title="Export",
    route="export/",
    doors=(
        Door(show_export, Action.EXPORT),
        Door(send_file, Action.EXPORT, route="file/", name="file"),
        # Asked for every second, by a page that is in the audit already; says numbers only.
        Door(show_progress, Action.EXPORT, route="progress/", name="progress", audited=False),
    ),
)
