"""The addresses of analytics."""

from __future__ import annotations

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from conversations import budgeting
from conversations.analytics import confidence
from conversations.analytics.filters import PERIODS, read_filters
from conversations.labels import PRECEDENCE
from orgs import audit
from orgs.exports import csv_response
from orgs.models import Organization
from orgs.permissions import Action, may, orgs_of
from orgs.staff_admin import acting
from orgs.staff_pages import Door, StaffPage


def show_confidence(request: HttpRequest, org: Organization) -> HttpResponse:
    """How right answers are, against how right they were said to be."""
    filters = read_filters(org, request.GET)
    context = {
        **admin.site.each_context(request),
        "title": "Confidence",
        "org": org,
        "several_orgs": orgs_of(request.user, Action.READ_TRANSCRIPTS).count() > 1,
        "filters": filters,
        "periods": PERIODS,
        "sources": [(by.value, by.label) for by in PRECEDENCE],
        "report": confidence.report(filters, now=timezone.now()),
        "enough": confidence.ENOUGH,
        "may_export": may(request.user, Action.EXPORT, org),
        "may_build": may(request.user, Action.BUILD, org),
    }
    return TemplateResponse(request, "admin/halo/confidence.html", context)


def export_labels(request: HttpRequest, org: Organization) -> StreamingHttpResponse:
    """The labels within the filters as CSV."""
    filters = read_filters(org, request.GET)
    asked = {"agent": str(filters.agent or ""), "period": filters.period, "by": list(filters.sources)}
    audit.record(org=org, actor=acting(request), action="labels.exported", after=asked)
    rows = confidence.rows_for_export(filters, now=timezone.now())
    return csv_response(name=f"labels-{org.slug}", header=confidence.EXPORT_HEADER, rows=rows)


def set_thresholds(request: HttpRequest, org: Organization) -> HttpResponse:
    """Sets what follows from the organisation's error budgets now, and says what moved."""
    moved = budgeting.set_thresholds(org=org, by=acting(request))
    for step in moved:
        messages.success(request, f"{step.agent}: {budgeting.note_of(step.verdict)}.")
    if not moved:
        messages.info(request, "No threshold moves by 0.02 or more: all stay as they are.")
    return HttpResponseRedirect(f"{reverse('admin:confidence')}?org={org.pk}")


CONFIDENCE = StaffPage(
    name="confidence",
    title="Confidence",
    route="analytics/confidence/",
    doors=(
        Door(show_confidence, Action.READ_TRANSCRIPTS),
        Door(export_labels, Action.EXPORT, route="labels.csv", name="export"),
        Door(set_thresholds, Action.BUILD, route="thresholds/", name="thresholds", method="POST"),
    ),
)
