"""One conversation on a time line: what was said, done on the site, handed over and taken over."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from django.utils.safestring import SafeString

from conversations.admin import transcript
from conversations.admin.trace_parts import readable
from conversations.admin.transcript import Entry
from conversations.inbox.thread import notes_of
from conversations.models import Conversation, Note, Ticket, Turn
from conversations.transcripts.words import Wanted
from sessions.models import Event

MOST_EVENTS = 300
# What a visitor did so long before the first message on the page belongs to it.
BEFORE_FIRST = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """Something on the time line: an entry of the transcript, or a line between them."""

    at: dt.datetime
    kind: str  # message, note, event, ticket, takeover
    says: str = ""
    entry: Entry | None = None
    text: SafeString | None = None
    snapshot: dict[str, str] = field(default_factory=dict)
    ticket: Ticket | None = None
    note: Note | None = None
    is_new_day: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What the page shows of a conversation."""

    moments: list[Moment]
    tickets: list[Ticket]
    earlier: int | None
    spent: dict[str, Any]
    # Who the visitor was and what the site told, as it was with the first message on the page.
    then: dict[str, str]


def read(conversation: Conversation, *, wanted: Wanted, before: int | None = None) -> Reading:
    """The last messages (those before the seq `before`), with all that happened meanwhile."""
    found = transcript.read(conversation, before=before)
    moments = [
        *(_said(entry, wanted) for entry in found.entries),
        *_events(conversation, found.entries, is_last=before is None),
        *(Moment(ticket.created_at, "ticket", ticket=ticket) for ticket in found.tickets),
        *(Moment(note.created_at, "note", note=note) for note in notes_of(conversation)),
    ]
    if conversation.taken_over_at is not None:
        who = str(conversation.taken_over_by or "A teammate")
        moments.append(Moment(conversation.taken_over_at, "takeover", says=f"{who} took over"))
    if found.entries and (before is not None or found.earlier is not None):
        first, last = found.entries[0].message.created_at, found.entries[-1].message.created_at
        moments = [m for m in moments if m.kind == "message" or (first <= m.at and (m.at <= last or before is None))]
    # Stable: messages stand in the order of the transcript, and what happened at the same moment behind them.
    moments.sort(key=attrgetter("at"))
    first_turn = next((entry.turn for entry in found.entries if entry.turn is not None), None)
    return Reading(
        moments=list(_with_days(moments)),
        tickets=found.tickets,
        earlier=found.earlier,
        spent=found.spent,
        then=snapshot_of(first_turn),
    )


def snapshot_of(turn: Turn | None) -> dict[str, str]:
    """What came with a message, by title, readable; empty parts are left out."""
    if turn is None or not isinstance(turn.snapshot, dict):
        return {}
    titles = {
        "page": "Page",
        "user_id": "User id",
        "company_id": "Company id",
        "claims": "Signed claims",
        "custom_fields": "Traits",
        "context": "Context",
        "behavior_context": "Behaviour",
        "conversation_history": "What was said elsewhere before",
    }
    return {title: readable(value) for name, title in titles.items() if (value := turn.snapshot.get(name))}


def _said(entry: Entry, wanted: Wanted) -> Moment:
    text = wanted.marked_in(entry.html) if entry.html is not None else wanted.marked(entry.message.text)
    return Moment(entry.message.created_at, "message", entry=entry, text=text, snapshot=snapshot_of(entry.turn))


def _events(conversation: Conversation, entries: list[Entry], *, is_last: bool) -> Iterator[Moment]:
    rows = Event.objects.for_org(conversation.org_id).filter(session=conversation.session_id)
    if entries:
        rows = rows.filter(created_at__gte=entries[0].message.created_at - BEFORE_FIRST)
        if not is_last:
            rows = rows.filter(created_at__lte=entries[-1].message.created_at)
    for event in rows.order_by("id")[:MOST_EVENTS]:
        where = event.page_url or event.element_selector
        yield Moment(event.created_at, "event", says=f"{event.event_type}{f' on {where}' if where else ''}"[:300])


def _with_days(moments: list[Moment]) -> Iterator[Moment]:
    day = None
    for moment in moments:
        is_new = moment.at.date() != day
        day = moment.at.date()
        yield replace(moment, is_new_day=is_new)


def find_one(*, org: Any, conversation_id: uuid.UUID) -> Conversation | None:
    """The organisation's conversation of that id with what its page says of it."""
    rows = Conversation.objects.for_org(org).select_related(
        "org", "agent", "agent_version", "taken_over_by", "session__end_user", "session__company"
    )
    found: Conversation | None = rows.filter(pk=conversation_id).first()
    return found
