"""The addresses of transcripts."""

from __future__ import annotations

import uuid

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse

from conversations.admin.judging import JudgementForm, judge
from conversations.inbox import notes
from conversations.models import Conversation, SavedView, Turn
from conversations.transcripts import reading, saved, search
from conversations.transcripts.filters import Filters, read_filters
from conversations.transcripts.search import Place, read_place
from conversations.transcripts.words import parse
from halo.errors import HaloError, NotFound
from halo.markdown import host_of
from orgs import audit
from orgs.models import Organization
from orgs.permissions import Action, may
from orgs.staff_admin import acting
from orgs.staff_desk import desk, several_orgs, show

SECTION = "transcripts"


class ViewForm(forms.Form):
    """A name for what is looked for, and whether others see it."""

    name = forms.CharField(max_length=saved.LONGEST_NAME)
    shared = forms.BooleanField(required=False)


@desk(needs=Action.READ_TRANSCRIPTS)
def list_transcripts(request: HttpRequest, org: Organization) -> HttpResponse:
    """Conversations by words and filters, newest first."""
    filters = read_filters(org, request.GET.dict())
    before = read_place(request.GET.get("before", ""))
    after = None if before else read_place(request.GET.get("after", ""))
    found = search.find(filters, after=after, before=before)
    views = saved.views_for(org=org, person=acting(request))
    here = _query(request, org, filters)
    context = {
        "title": "Transcripts",
        "filters": filters,
        "chips": [{"says": c.says, "without": _query(request, org, filters, leave=c.name)} for c in filters.chosen],
        "without_text": _query(request, org, filters, leave="q"),
        "found": found,
        "here": here,
        **_turns(found, here, after=after, before=before),
        "views": views,
        "current_view": _current(views, filters),
        "clear": _query(request, org, None),
        "may_export": may(request.user, Action.EXPORT, org),
    }
    return show(request, org, "staff/transcripts/list.html", context, section=SECTION)


@desk(needs=Action.READ_TRANSCRIPTS, of=Conversation, named="conversation_id", operator_audit=False)
def read_transcript(request: HttpRequest, org: Organization, conversation_id: uuid.UUID) -> HttpResponse:
    """One conversation; every opening is written to the audit, also a superuser's."""
    conversation = _find(org, conversation_id)
    filters = read_filters(org, request.GET.dict())
    wanted = parse(filters.text)
    page = request.GET.get("upto", "")
    upto = int(page) if page.isdecimal() and page.isascii() and len(page) < 19 else None
    found = reading.read(conversation, wanted=wanted, before=upto)
    audit.record(org=org, actor=acting(request), action="transcript.read", target=conversation)
    newer, older = search.neighbours(filters, wanted, Place.of(conversation))
    here = _query(request, org, filters)
    context = {
        "title": f"Conversation of {conversation.created_at:%-d %B %Y}",
        "conversation": conversation,
        "person": conversation.session.end_user,
        "company": conversation.session.company,
        "reading": found,
        "filters": filters,
        "here": here,
        "newer": newer,
        "older": older,
        "may_judge": may(request.user, Action.WRITE_NOTES, org),
        "may_step_in": may(request.user, Action.WORK_INBOX, org),
        "me": request.user,
        "link": request.build_absolute_uri(reverse("transcript", args=[conversation.pk])),
        "host_of": host_of,
    }
    return show(request, org, "staff/transcripts/conversation.html", context, section=SECTION)


@desk(needs=Action.WRITE_NOTES, methods=("POST",), of=Conversation, named="conversation_id")
def judge_answer(
    request: HttpRequest, org: Organization, conversation_id: uuid.UUID, turn_id: uuid.UUID
) -> HttpResponse:
    """A teammate says whether an answer was right, changes their mind, or takes it back."""
    turn = Turn.objects.for_org(org).filter(conversation=conversation_id, pk=turn_id).first()
    if turn is None:
        raise NotFound
    judge(request, turn=turn, form=JudgementForm(request.POST), by=acting(request))
    return _back(request, org, conversation_id, f"turn-{turn.pk}")


@desk(needs=Action.WRITE_NOTES, methods=("POST",), of=Conversation, named="conversation_id")
def add_note(request: HttpRequest, org: Organization, conversation_id: uuid.UUID) -> HttpResponse:
    """A note that staff alone read."""
    try:
        notes.write_note(about=_find(org, conversation_id), text=request.POST.get("text", ""), by=acting(request))
    except HaloError as error:
        messages.error(request, error.message)
    return _back(request, org, conversation_id, "notes")


@desk(needs=Action.WRITE_NOTES, methods=("POST",), of=Conversation, named="conversation_id")
def remove_note(request: HttpRequest, org: Organization, conversation_id: uuid.UUID) -> HttpResponse:
    """An own note is taken away."""
    note = request.POST.get("id", "")
    if not (note.isdecimal() and note.isascii() and len(note) < 19):
        raise NotFound
    notes.remove_note(about=_find(org, conversation_id), note_id=int(note), by=acting(request))
    return _back(request, org, conversation_id, "notes")


@desk(needs=Action.READ_TRANSCRIPTS, methods=("POST",))
def save_view(request: HttpRequest, org: Organization) -> HttpResponse:
    """Keeps the search and filters of the page that was looked at."""
    filters = read_filters(org, QueryDict(request.POST.get("back", "")[:4000]).dict())
    form = ViewForm(request.POST)
    try:
        if not form.is_valid():
            messages.error(request, f"The name of a view is 1 to {saved.LONGEST_NAME} characters.")
        else:
            name, shared = form.cleaned_data["name"], form.cleaned_data["shared"]
            view = saved.save_view(filters=filters, name=name, is_shared=shared, by=acting(request))
            messages.success(request, f"“{view}” is kept" + (" and shared." if shared else "."))
    except HaloError as error:
        messages.error(request, error.message)
    return HttpResponseRedirect(_address(reverse("transcripts"), _query(request, org, filters)))


@desk(needs=Action.READ_TRANSCRIPTS, methods=("POST",), of=SavedView, named="view_id")
def delete_view(request: HttpRequest, org: Organization, view_id: uuid.UUID) -> HttpResponse:
    """Removes one of the person's own views."""
    name = saved.delete_view(org=org, view_id=view_id, by=acting(request))
    messages.success(request, f"The view “{name}” is deleted.")
    return HttpResponseRedirect(_address(reverse("transcripts"), _query(request, org, None)))


def _find(org: Organization, conversation_id: uuid.UUID) -> Conversation:
    conversation = reading.find_one(org=org, conversation_id=conversation_id)
    if conversation is None:
        raise NotFound
    return conversation


def _back(request: HttpRequest, org: Organization, conversation_id: uuid.UUID, where: str) -> HttpResponse:
    """To the conversation, within the result that it was read in."""
    filters = read_filters(org, QueryDict(request.POST.get("back", "")[:4000]).dict())
    address = _address(reverse("transcript", args=[conversation_id]), _query(request, org, filters))
    return HttpResponseRedirect(f"{address}#{where}")


def _query(request: HttpRequest, org: Organization, filters: Filters | None, *, leave: str = "") -> str:
    """What an address needs behind it to ask for the same, without the filter to `leave`."""
    in_org = f"org={org.pk}" if several_orgs(request) else ""
    return "&".join(part for part in (in_org, filters.without(leave) if filters else "") if part)


def _turned(query: str, **place: Place) -> str:
    """The same query from another place on."""
    ((name, where),) = place.items()
    return f"{query}&{name}={where}" if query else f"{name}={where}"


def _address(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _turns(found: search.Found, here: str, *, after: Place | None, before: Place | None) -> dict[str, str]:
    """Where newer and older conversations are, as far as there are any, and where to look on."""
    further = _turned(here, after=found.stopped) if found.stopped and not before else ""
    if not found.rows:
        return {"further": further}
    has_newer, has_older = (found.more, True) if before else (after is not None, found.more and not further)
    return {
        "newer": _turned(here, before=Place.of(found.rows[0])) if has_newer else "",
        "older": _turned(here, after=Place.of(found.rows[-1])) if has_older else "",
        "further": further,
    }


def _current(views: saved.Views, filters: Filters) -> SavedView | None:
    """The view whose page this is."""
    if filters.is_empty:
        return None
    return next((view for view in [*views.own, *views.shared] if view.query == filters.query), None)
