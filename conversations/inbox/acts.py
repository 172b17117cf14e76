"""What is done in the inbox: one form, one service, and back to what is open. Scripts are answered in JSON."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse

from conversations import replying, takeover
from conversations.inbox import notes, presence, stepping, ticketing
from conversations.inbox.forms import TicketForm
from conversations.inbox.views import address, find_anything, find_conversation, find_ticket
from conversations.models import Conversation, Ticket
from halo.errors import HaloError, InvalidRequest, NotFound
from orgs.models import Organization
from orgs.permissions import Action, may
from orgs.staff_admin import acting
from orgs.staff_desk import desk

Act = Callable[[HttpRequest, Conversation], None]


def _act(*, needs: Action = Action.WORK_INBOX) -> Callable[[Act], Callable[..., HttpResponse]]:
    """Makes `act(request, conversation)` an address that is posted to."""

    def decorate(act: Act) -> Callable[..., HttpResponse]:
        @desk(needs=needs, methods=("POST",), of=Conversation, named="conversation_id", operator_audit=False)
        def view(request: HttpRequest, org: Organization, conversation_id: uuid.UUID) -> HttpResponse:
            conversation = find_conversation(org, conversation_id)
            return _done(request, org, conversation, lambda: act(request, conversation))

        return view  # type: ignore[return-value]

    return decorate


@_act()
def take_over(request: HttpRequest, conversation: Conversation) -> None:
    stepping.take_over(conversation=conversation, by=acting(request))


@_act()
def hand_back(request: HttpRequest, conversation: Conversation) -> None:
    takeover.hand_back(conversation=conversation, by=acting(request))


@_act()
def close(request: HttpRequest, conversation: Conversation) -> None:
    stepping.close(conversation=conversation, by=acting(request))


@_act()
def reply(request: HttpRequest, conversation: Conversation) -> None:
    seen = request.POST.get("seen", "")
    stepping.answer(
        conversation=conversation,
        text=_text(request),
        by=acting(request),
        seen=int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 19 else None,
        take="take" in request.POST,
    )


@_act()
def whisper(request: HttpRequest, conversation: Conversation) -> None:
    notes.whisper(conversation=conversation, text=_text(request), by=acting(request))


@_act()
def take_whisper_back(request: HttpRequest, conversation: Conversation) -> None:
    notes.take_back(conversation=conversation, whisper_id=_number(request), by=acting(request))


@_act()
def make_ticket(request: HttpRequest, conversation: Conversation) -> None:
    ticketing.make_ticket(conversation=conversation, by=acting(request))


@desk(needs=Action.WRITE_NOTES, methods=("POST",), operator_audit=False)
def note(request: HttpRequest, org: Organization, key: uuid.UUID) -> HttpResponse:
    """A note about a conversation or a ticket."""
    about = find_anything(org, key)
    return _done(request, org, about, lambda: notes.write_note(about=about, text=_text(request), by=acting(request)))


@desk(needs=Action.WRITE_NOTES, methods=("POST",), operator_audit=False)
def remove_note(request: HttpRequest, org: Organization, key: uuid.UUID) -> HttpResponse:
    """An own note is taken away."""
    about = find_anything(org, key)
    return _done(
        request, org, about, lambda: notes.remove_note(about=about, note_id=_number(request), by=acting(request))
    )


@desk(needs=Action.WORK_INBOX, methods=("POST",), of=Ticket, named="ticket_id", operator_audit=False)
def change_ticket(request: HttpRequest, org: Organization, ticket_id: uuid.UUID) -> HttpResponse:
    """One or several columns of a ticket."""
    ticket = find_ticket(org, ticket_id)
    form = TicketForm(request.POST, org=org)

    def act() -> None:
        if not form.is_valid():
            raise InvalidRequest(str(next(iter(form.errors.values()))[0]))
        zone = ticket.team.time_zone if ticket.team is not None else "UTC"
        ticketing.change_ticket(ticket=ticket, changes=form.changes(zone=zone), by=acting(request))

    about = find_conversation(org, ticket.conversation_id) if ticket.conversation_id is not None else ticket
    return _done(request, org, about, act)


@desk(needs=Action.WRITE_NOTES, methods=("POST",), operator_audit=False)
def here(request: HttpRequest, org: Organization, key: uuid.UUID) -> HttpResponse:
    """Somebody looks at it, writes, or has left."""
    about, person = find_anything(org, key), acting(request)
    state = request.POST.get("state", "")
    if state == "left":
        presence.leave(org_id=org.pk, about=about.pk, by=person)
        return HttpResponse(status=204)
    presence.be_here(org_id=org.pk, about=about.pk, by=person, writes=state in ("writing", "replying"))
    # The visitor is told of a reply that is being written, and never of notes.
    replies = state == "replying" and may(request.user, Action.WORK_INBOX, org)
    if replies and isinstance(about, Conversation) and about.taken_over_by_id is not None:
        replying.type_to(conversation=about, by=person)
    return HttpResponse(status=204)


def _done(
    request: HttpRequest, org: Organization, about: Conversation | Ticket, act: Callable[[], Any]
) -> HttpResponse:
    """The answer to a form: where to look now, or why nothing was done."""
    by_script = request.headers.get("Accept", "") == "application/json"
    kind = "conversation" if isinstance(about, Conversation) else "ticket"
    try:
        act()
    except NotFound:
        raise
    except HaloError as error:
        if by_script:
            return JsonResponse({"error": error.message, "code": error.code}, status=error.status)
        messages.error(request, error.message)
    if by_script:
        return JsonResponse({})
    return HttpResponseRedirect(address(request, org, about.pk, kind=kind))


def _text(request: HttpRequest) -> str:
    # Browsers send line ends as mail does.
    return request.POST.get("text", "").replace("\r\n", "\n")


def _number(request: HttpRequest) -> int:
    asked = request.POST.get("id", "")
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 19):
        raise NotFound
    return int(asked)
