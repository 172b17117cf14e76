"""The front page: is it well today, in the organisation, or in each of several."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from conversations.analytics import numbers
from conversations.analytics.numbers import Numbers
from conversations.analytics.today import DAY, today
from orgs.permissions import Action, orgs_of
from orgs.staff_pages import audit_operator, org_asked_for

MOST_ORGS = 50


def front(request: HttpRequest) -> dict[str, Any]:
    """What admin/index.html shows above the pages: one organisation's day, or a row for each that one may choose."""
    org = org_asked_for(request, Action.READ_TRANSCRIPTS)
    now = timezone.now()
    possible = orgs_of(request.user, Action.READ_TRANSCRIPTS)
    if org is not None:
        audit_operator(request, org, "front")
        # Asked for by name: there are others, whose lists would be mixed with this one's.
        several = "org" in request.GET
        return {"today": today(org, now=now, several=several and possible[:2].count() > 1), "several_orgs": several}
    term = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    shown = list(possible.filter(name__icontains=term).order_by("name")[:MOST_ORGS])
    if not shown and not term:
        return {}
    latest = numbers.live([found.pk for found in shown], since=now - DAY, until=now)
    rows = [(found, latest.get(found.pk, Numbers())) for found in shown]
    return {"overview": rows, "term": term, "most_orgs": MOST_ORGS if len(shown) == MOST_ORGS else None}
