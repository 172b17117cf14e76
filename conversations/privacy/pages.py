"""The page of data protection: find a person, export or erase them, see receipts and how long things are kept."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from conversations.models import Conversation, Erasure, Message, Ticket, TurnTrace
from conversations.privacy.erasing import proofs, request_erasure
from conversations.privacy.exporting import export_person
from halo.errors import HaloError, NotFound
from orgs import audit
from orgs.models import Organization
from orgs.permissions import Action, may, orgs_of
from orgs.staff_admin import acting
from orgs.staff_pages import Door, StaffPage
from sessions.models import EndUser, Event

MOST_FOUND, MOST_RECEIPTS, MOST_COUNTED = 20, 50, 10_000


def show(request: HttpRequest, org: Organization) -> HttpResponse:
    """People that a search finds or one of them, receipts, and what is kept for how long."""
    term = request.GET.get("q", "").replace("\x00", "").strip()[:320]
    person = _person(request.GET.get("person", ""), org) if "person" in request.GET else None
    receipts = Erasure.objects.for_org(org).select_related("requested_by").order_by("-requested_at")
    context = {
        **admin.site.each_context(request),
        "title": "Data protection",
        "org": org,
        "several_orgs": orgs_of(request.user, Action.ERASE).count() > 1,
        "term": term,
        "found": _matching(term, org) if term else None,
        "proved": list(receipts.filter(proofs__overlap=proofs(org=org, words=[term]))) if term else [],
        "person": person,
        "of_person": _belongings(person) if person is not None else [],
        "pending": Erasure.objects.for_org(org).filter(end_user=person).exists() if person is not None else False,
        "asks": "erase" in request.GET,
        "receipts": receipts[:MOST_RECEIPTS],
        "kept": _kept(org),
        "may_change": may(request.user, Action.CHANGE_SETTINGS, org),
    }
    return TemplateResponse(request, "admin/halo/privacy.html", context)


def export(request: HttpRequest, org: Organization) -> StreamingHttpResponse:
    """What is known of a person, as a JSON file."""
    person = _person(request.GET.get("person", ""), org)
    audit.record(org=org, actor=acting(request), action="person.exported", target=person)
    return StreamingHttpResponse(
        export_person(person, now=timezone.now()),
        content_type="application/json; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="person-{person.pk}.json"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


def erase(request: HttpRequest, org: Organization) -> HttpResponse:
    """Has a person erased."""
    person = _person(request.POST.get("person", ""), org)
    where = f"{reverse('admin:privacy')}?org={org.pk}"
    try:
        request_erasure(person=person, by=acting(request))
    except HaloError as error:
        messages.error(request, error.message)
        return HttpResponseRedirect(where)
    messages.success(request, "The person is being erased. The receipt below says when it is done.")
    return HttpResponseRedirect(f"{where}#receipts")


def _person(key: str, org: Organization) -> EndUser:
    try:
        wanted = uuid.UUID(key)
    except ValueError:
        raise NotFound from None
    # SECURITY: foreign and unknown look the same.
    person: EndUser | None = EndUser.objects.for_org(org).select_related("company", "org").filter(pk=wanted).first()
    if person is None:
        raise NotFound
    return person


def _matching(term: str, org: Organization) -> list[EndUser]:
    """By the whole id, the beginning of the e-mail address, part of the name, or a conversation's id."""
    wanted = Q(external_id=term) | Q(email__istartswith=term) | Q(name__icontains=term)
    try:
        of_talk = Conversation.objects.for_org(org).filter(pk=uuid.UUID(term)).values("session__end_user")
        wanted |= Q(pk__in=of_talk)
    except ValueError:
        pass
    found = EndUser.objects.for_org(org).filter(wanted).select_related("company").order_by("-last_seen", "pk")
    return list(found[:MOST_FOUND])


def _belongings(person: EndUser) -> list[tuple[str, str]]:
    """How much there is of them, counted up to a bound."""
    org = person.org_id
    rows: list[tuple[str, QuerySet[Any]]] = [
        ("Conversations", Conversation.objects.for_org(org).filter(session__end_user=person)),
        ("Messages", Message.objects.for_org(org).filter(conversation__session__end_user=person)),
        ("Tickets", Ticket.objects.for_org(org).filter(Q(session__end_user=person) | Q(requester=person))),
        ("Events", Event.objects.for_org(org).filter(end_user=person)),
    ]
    found = []
    for name, queryset in rows:
        count = queryset.order_by().values("pk")[:MOST_COUNTED].count()
        found.append((name, f"{count:,}+" if count == MOST_COUNTED else f"{count:,}"))
    return found


def _kept(org: Organization) -> list[dict[str, Any]]:
    """What is deleted after which time, with the oldest of it that is there, and what stays."""
    talks = Conversation.objects.for_org(org).order_by("last_message_at").values_list("last_message_at", flat=True)
    traces = TurnTrace.objects.for_org(org).order_by("created_at").values_list("created_at", flat=True)
    events = Event.objects.for_org(org).order_by("created_at").values_list("created_at", flat=True)
    people = EndUser.objects.for_org(org).order_by("last_seen").values_list("last_seen", flat=True)
    months = org.retain_people_months
    return [
        {
            "what": "Conversations with messages, images, tickets and sessions",
            "time": f"{org.retain_messages_months} months after the last message",
            "oldest": talks.first(),
            "stays": "for each hour, how many messages there were, what became of them, how long it took, what it cost",
        },
        {
            "what": "Traces: prompts, passages, timings",
            "time": f"{org.retain_traces_days} days",
            "oldest": traces.first(),
            "stays": "the answer with its confidence, in the transcript",
        },
        {
            "what": "Events on the site",
            "time": f"{org.retain_events_days} days",
            "oldest": events.first(),
            "stays": "nothing",
        },
        {
            "what": "People on the site",
            "time": f"{months} months after they were last seen, if nothing else is left of them"
            if months
            else "until they are erased",
            "oldest": people.first(),
            "stays": "nothing; of those who are erased, a receipt",
        },
        {
            "what": "Audit and receipts",
            "time": "for good",
            "oldest": None,
            "stays": "all; they hold no visitor's words",
        },
    ]


PRIVACY = StaffPage(
    name="privacy",
    title="Data protection",
    route="privacy/",
    doors=(
        Door(show, Action.ERASE),
        Door(export, Action.ERASE, route="person.json", name="export"),
        Door(erase, Action.ERASE, route="erase/", name="erase", method="POST"),
    ),
)
