"""The inbox's pages and their parts, which a browser reads again when something has changed."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from conversations.api.streams import EVENT_STREAM, as_live
from conversations.inbox import aside, listing, thread
from conversations.inbox.forms import SNOOZES
from conversations.inbox.listing import View
from conversations.inbox.ticketing import people_of
from conversations.inbox.watching import InboxWatch, Page
from conversations.models import CannedReply, Conversation, Ticket
from halo.errors import HaloError, NotFound
from halo.hanging_up import has_hung_up
from halo.ids import parse_uuid
from orgs import audit
from orgs.models import Organization, Team
from orgs.permissions import Action, may
from orgs.staff_admin import acting
from orgs.staff_desk import desk, several_orgs, show

MOST_CANNED = 500
SALT = "halo.inbox.reading"
# A tab that stays open for longer is a new reading.
PASS_SECONDS = 12 * 3600


@desk(needs=Action.WRITE_NOTES)
def inbox(request: HttpRequest, org: Organization) -> HttpResponse:
    """The list, with nothing open."""
    return _page(request, org, None)


@desk(needs=Action.WRITE_NOTES, of=Conversation, named="conversation_id", operator_audit=False)
def conversation_page(request: HttpRequest, org: Organization, conversation_id: uuid.UUID) -> HttpResponse:
    """The list with a conversation open, which is reading it: that is audited, its renewals are not."""
    conversation = find_conversation(org, conversation_id)
    _note_reading(request, conversation)
    return _page(request, org, conversation)


@desk(needs=Action.WRITE_NOTES, of=Ticket, named="ticket_id")
def ticket_page(request: HttpRequest, org: Organization, ticket_id: uuid.UUID) -> HttpResponse:
    """The list with a ticket open; one of a conversation is read there."""
    ticket = find_ticket(org, ticket_id)
    if ticket.conversation_id is not None:
        return HttpResponseRedirect(address(request, org, ticket.conversation_id))
    return _page(request, org, ticket)


@desk(needs=Action.WRITE_NOTES, operator_audit=False)
def list_part(request: HttpRequest, org: Organization) -> HttpResponse:
    """The list alone, with the views and their counts."""
    return TemplateResponse(request, "inbox/list.html", _list(request, org, parse_uuid(request.GET.get("at", ""))))


@desk(needs=Action.WRITE_NOTES, of=Conversation, named="conversation_id", operator_audit=False)
def conversation_part(request: HttpRequest, org: Organization, conversation_id: uuid.UUID) -> HttpResponse:
    """What is open alone: a thread, and what stands beside it."""
    conversation = find_conversation(org, conversation_id)
    if not _is_reading(request, conversation):
        _note_reading(request, conversation)
    return TemplateResponse(request, "inbox/open.html", _open(request, org, conversation))


@desk(needs=Action.WRITE_NOTES, of=Ticket, named="ticket_id", operator_audit=False)
def ticket_part(request: HttpRequest, org: Organization, ticket_id: uuid.UUID) -> HttpResponse:
    """The same of a ticket that has no conversation."""
    return TemplateResponse(request, "inbox/open.html", _open(request, org, find_ticket(org, ticket_id)))


@desk(needs=Action.WRITE_NOTES, operator_audit=False)
def events(request: HttpRequest, org: Organization) -> StreamingHttpResponse | HttpResponse:
    """What of a page is to be read again, as it happens."""
    wanted = parse_uuid(request.GET.get("at", ""))
    about = find_anything(org, wanted) if wanted is not None else None
    view = listing.find_view(org, request.GET.get("view", ""))
    try:
        page = Page(org=org, person=acting(request), view=view, most=_most(request), about=about)
        watch = InboxWatch(page, is_gone=has_hung_up(request))
    except HaloError as error:
        # A browser that is refused comes again by itself, and reads the parts now and then until then.
        return HttpResponse(status=error.status, headers={"Retry-After": "30"}, content_type=EVENT_STREAM)
    return as_live(watch)


@desk(needs=Action.WRITE_NOTES, operator_audit=False)
def canned(request: HttpRequest, org: Organization) -> JsonResponse:
    """The replies that are kept ready, by name."""
    rows = CannedReply.objects.for_org(org).order_by("name").values("name", "text")[:MOST_CANNED]
    return JsonResponse({"replies": list(rows)}, headers={"Cache-Control": "private, no-store"})


def find_conversation(org: Organization, conversation_id: uuid.UUID) -> Conversation:
    """The organisation's conversation with what its page shows of it; NotFound where there is none."""
    found: Conversation | None = (
        Conversation.objects.for_org(org)
        .filter(pk=conversation_id)
        .select_related("org", "agent", "taken_over_by", "session__end_user__company", "session__company")
        .first()
    )
    if found is None:
        raise NotFound
    return found


def find_ticket(org: Organization, ticket_id: uuid.UUID) -> Ticket:
    """The organisation's ticket; NotFound where there is none."""
    found: Ticket | None = (
        Ticket.objects.for_org(org)
        .filter(pk=ticket_id)
        .select_related("org", "team", "assignee", "requester__company")
        .first()
    )
    if found is None:
        raise NotFound
    return found


def find_anything(org: Organization, key: uuid.UUID) -> Conversation | Ticket:
    """What a list's row opens; NotFound where there is nothing of that id."""
    try:
        return find_conversation(org, key)
    except NotFound:
        return find_ticket(org, key)


def address(request: HttpRequest, org: Organization, key: uuid.UUID | None, *, kind: str = "conversation") -> str:
    """Where a conversation or ticket is open, in the view that the request came from."""
    kept = {name: request.GET[name] for name in ("view", "most") if name in request.GET}
    query = "&".join(f"{name}={value}" for name, value in kept.items() if value.replace("-", "").isalnum())
    where = reverse("inbox") if key is None else reverse(f"inbox-{kind}", args=[key])
    in_org = f"org={org.pk}" if several_orgs(request) and key is None else ""
    tail = "&".join(part for part in (in_org, query) if part)
    return f"{where}?{tail}" if tail else where


def _note_reading(request: HttpRequest, conversation: Conversation) -> None:
    audit.record(org=conversation.org_id, actor=acting(request), action="transcript.read", target=conversation)


def _pass(request: HttpRequest, about: Conversation | Ticket) -> str:
    """Says that this person has opened it, which was audited: its part is then renewed without another row."""
    return signing.dumps([str(acting(request).pk), str(about.pk)], salt=SALT)


def _is_reading(request: HttpRequest, about: Conversation) -> bool:
    try:
        told = signing.loads(request.GET.get("pass", ""), salt=SALT, max_age=PASS_SECONDS)
    except signing.BadSignature:
        return False
    return bool(told == [str(acting(request).pk), str(about.pk)])


def _page(request: HttpRequest, org: Organization, about: Conversation | Ticket | None) -> HttpResponse:
    shown = _list(request, org, about.pk if about is not None else None)
    opened = _open(request, org, about) if about is not None else {}
    kind = "conversation" if isinstance(about, Conversation) else "ticket"
    settings = {
        "at": str(about.pk) if about is not None else "",
        "part": reverse(f"inbox-{kind}-part", args=[about.pk]) if about is not None else "",
        "here": reverse("inbox-here", args=[about.pk]) if about is not None else "",
        "pass": _pass(request, about) if about is not None else "",
        "events": reverse("inbox-events"),
        "list": reverse("inbox-list"),
        "canned": reverse("inbox-canned"),
        "org": str(org.pk),
        "view": shown["listing"].view.name,
        "most": _most(request),
    }
    context = {**shown, **opened, "title": "Inbox", "about": about, "page_settings": json.dumps(settings)}
    return show(request, org, "inbox/page.html", context, section="inbox")


def _list(request: HttpRequest, org: Organization, at: uuid.UUID | None) -> dict[str, Any]:
    person = acting(request)
    view: View = listing.find_view(org, request.GET.get("view", ""))
    found = listing.listing(org, person, view, now=timezone.now(), most=_most(request))
    views = listing.views(org, person)
    return {
        "org": org,
        "in_org": f"&org={org.pk}" if several_orgs(request) else "",
        "listing": found,
        "views": views[: len(listing.VIEWS)],
        "teams": views[len(listing.VIEWS) :],
        "at": at,
        "next_most": min(_most(request) + listing.PAGE, listing.MOST) if found.more else 0,
        "me": person,
        "now": timezone.now(),
    }


def _open(request: HttpRequest, org: Organization, about: Conversation | Ticket) -> dict[str, Any]:
    is_talk = isinstance(about, Conversation)
    works = may(request.user, Action.WORK_INBOX, org)
    context: dict[str, Any] = {
        "org": org,
        "me": acting(request),
        "now": timezone.now(),
        "works": works,
        "about": about,
        "conversation": about if is_talk else None,
        "ticket": None if is_talk else about,
        "aside": aside.read(about) if isinstance(about, Conversation) else aside.read_ticket(about),
        "people": list(people_of(org)) if works else [],
        "team_choices": list(Team.objects.for_org(org).order_by("name")) if works else [],
        "snoozes": list(SNOOZES.items()),
        "statuses": [choice for choice in Ticket.Status.choices if choice[0] != Ticket.Status.SNOOZED],
        "view": request.GET.get("view", ""),
        "query": f"?view={view}" if (view := request.GET.get("view", "")).replace("-", "").isalnum() else "",
    }
    if isinstance(about, Conversation):
        context["thread"] = thread.read(about)
    else:
        context["notes"] = list(thread.notes_of(about))
    return context


def _most(request: HttpRequest) -> int:
    asked = request.GET.get("most", "")
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 5 else listing.PAGE
