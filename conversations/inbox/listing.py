"""The list of the inbox: conversations and tickets by who is to deal with them, the urgent and the newest first."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Left

from conversations import live
from conversations.inbox.presence import Here, who_is_at
from conversations.models import Conversation, Message, Ticket
from orgs.models import Organization, Team, User

# Rows of a list; "Show more" brings as many again, up to the most.
PAGE, MOST = 50, 300
# So long after its last word a conversation with the agent counts as one that goes on.
GOES_ON = dt.timedelta(minutes=30)
PREVIEW = 140
MINE, UNASSIGNED, OPEN, LIVE, SNOOZED, DONE, SPAM = "mine", "unassigned", "open", "live", "snoozed", "done", "spam"
VIEWS = {
    MINE: "Mine",
    UNASSIGNED: "Nobody's yet",
    OPEN: "All open",
    LIVE: "With the agent",
    SNOOZED: "Snoozed",
    DONE: "Resolved",
    SPAM: "Spam",
}
TEAM = "team-"


@dataclass(frozen=True, slots=True)
class View:
    """What a list shows: one of VIEWS, or a team's tickets."""

    name: str
    title: str
    count: int | None = None
    team: uuid.UUID | None = None


@dataclass(slots=True)
class Row:
    """One line of a list: a conversation with what is open in it, or a ticket that has none."""

    key: uuid.UUID
    at: dt.datetime
    conversation: Conversation | None = None
    tickets: list[Ticket] = field(default_factory=list)
    last: str = ""
    by: str = ""
    here: list[Here] = field(default_factory=list)
    visitor_is_here: bool = False

    @property
    def ticket(self) -> Ticket | None:
        """The ticket that the row is shown for."""
        return self.tickets[0] if self.tickets else None

    @property
    def name(self) -> str:
        """Whose it is."""
        if self.conversation is not None:
            return str(self.conversation.session.end_user or "Anonymous visitor")
        return str(self.ticket.requester or "Unknown") if self.ticket is not None else ""

    @property
    def has_priority(self) -> bool:
        return any(ticket.priority == Ticket.Priority.PRIORITY for ticket in self.tickets)

    @property
    def waits(self) -> bool:
        """Whether the visitor had the last word, and people are to answer it."""
        conversation = self.conversation
        if conversation is None:
            return self.ticket is not None and self.ticket.status == Ticket.Status.OPEN
        if conversation.taken_over_by_id is None and not self.tickets:
            return False
        return self.by in (Message.Author.VISITOR, Message.Author.SYSTEM) and conversation.status == "open"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list, and whether there is more of it."""

    view: View
    rows: list[Row]
    more: bool

    @property
    def print(self) -> str:
        """A short value that changes when the list does."""
        told = [
            (row.key, row.at, row.last, row.by, [(t.pk, t.updated_at) for t in row.tickets])
            + ((c.status, c.taken_over_by_id, c.visitor_saw) if (c := row.conversation) else ())
            + (tuple(here.id for here in row.here), row.visitor_is_here)
            for row in self.rows
        ]
        return hashlib.blake2b(repr(told).encode(), digest_size=8).hexdigest()


def views(org: Organization, person: User) -> list[View]:
    """What can be listed, with how much there is of what is to be done; teams behind the rest."""
    unsettled = Ticket.objects.for_org(org).filter(status__in=[Ticket.Status.OPEN, Ticket.Status.IN_PROGRESS])
    teams = list(Team.objects.for_org(org).order_by("name"))
    by_team = {f"n{place}": Count("pk", filter=Q(team=team)) for place, team in enumerate(teams)}
    counted = unsettled.aggregate(
        mine=Count("pk", filter=Q(assignee=person)),
        unassigned=Count("pk", filter=Q(assignee=None)),
        open=Count("pk"),
        **by_team,
    )
    shown: list[View] = [View(name, title, counted.get(name)) for name, title in VIEWS.items()]
    return shown + [
        View(f"{TEAM}{team.pk}", team.name, counted[f"n{place}"], team.pk) for place, team in enumerate(teams)
    ]


def find_view(org: Organization, name: str) -> View:
    """The view of that name; the first one where there is none."""
    if name.startswith(TEAM):
        try:
            team = Team.objects.for_org(org).filter(pk=uuid.UUID(name.removeprefix(TEAM))).first()
        except ValueError:
            team = None
        if team is not None:
            return View(name, team.name, None, team.pk)
    known = name if name in VIEWS else MINE
    return View(known, VIEWS[known])


def listing(org: Organization, person: User, view: View, *, now: dt.datetime, most: int = PAGE) -> Listing:
    """What `view` holds for `person`: priority first, then what moved last."""
    most = min(most, MOST)
    tickets = _tickets(org, person, view)
    conversations = _conversations(org, person, view, now=now)
    rows: dict[uuid.UUID, Row] = {}
    more = False
    if tickets is not None:
        found = list(tickets[: most + 1])
        more = len(found) > most
        for ticket in found[:most]:
            key = ticket.conversation_id or ticket.pk
            row = rows.setdefault(key, Row(key=key, at=ticket.moved_at, conversation=ticket.conversation))
            row.tickets.append(ticket)
    if conversations is not None:
        # Of a page's worth, those that no ticket has brought.
        talks = list(conversations[: most + 1])
        more = more or len(talks) > most
        for talk in talks[:most]:
            rows.setdefault(talk.pk, Row(key=talk.pk, at=talk.last_message_at, conversation=talk))
    ordered = sorted(rows.values(), key=lambda row: (row.has_priority, row.at), reverse=True)
    return Listing(view=view, rows=_furnished(org, ordered[:most]), more=more or len(ordered) > most)


def _tickets(org: Organization, person: User, view: View) -> QuerySet[Any] | None:
    if view.name == LIVE:
        return None
    wanted = {
        SNOOZED: [Ticket.Status.SNOOZED],
        DONE: [Ticket.Status.RESOLVED],
        SPAM: [Ticket.Status.SPAM],
    }.get(view.name, [Ticket.Status.OPEN, Ticket.Status.IN_PROGRESS])
    rows: QuerySet[Any] = Ticket.objects.for_org(org).filter(status__in=wanted)
    if view.name == MINE:
        rows = rows.filter(assignee=person)
    elif view.name == UNASSIGNED:
        rows = rows.filter(assignee=None)
    elif view.team is not None:
        rows = rows.filter(team=view.team)
    rows = rows.select_related(
        "team", "assignee", "requester", "conversation__session__end_user", "conversation__taken_over_by"
    ).annotate(moved_at=Coalesce(F("conversation__last_message_at"), F("updated_at")))
    return rows.order_by("-priority", "-moved_at", "pk")


def _conversations(org: Organization, person: User, view: View, *, now: dt.datetime) -> QuerySet[Any] | None:
    talks: QuerySet[Any] = Conversation.objects.for_org(org).filter(status=Conversation.Status.OPEN)
    if view.name == MINE:
        talks = talks.filter(taken_over_by=person)
    elif view.name == OPEN:
        talks = talks.filter(taken_over_by__isnull=False)
    elif view.name == LIVE:
        talks = talks.filter(taken_over_by=None, last_message_at__gte=now - GOES_ON)
    else:
        return None
    return talks.select_related("session__end_user", "taken_over_by").order_by("-last_message_at", "id")


def _furnished(org: Organization, rows: list[Row]) -> list[Row]:
    """The rows with what was said last, and with who is there."""
    keys = [row.conversation.pk for row in rows if row.conversation is not None]
    said = Message.objects.for_org(org).filter(conversation=OuterRef("pk")).order_by("-seq", "-part")
    last: dict[uuid.UUID, tuple[str, str]] = {
        pk: (text or "", by or "")
        for pk, text, by in Conversation.objects.for_org(org)
        .filter(pk__in=keys)
        .annotate(
            said=Subquery(said.annotate(start=Left("text", PREVIEW)).values("start")[:1]),
            said_by=Subquery(said.values("author")[:1]),
        )
        .values_list("pk", "said", "said_by")
    }
    here = who_is_at(org.pk, [row.key for row in rows])
    watched = live.watched(keys)
    for row in rows:
        row.here = here.get(row.key, [])
        if row.conversation is not None:
            text, row.by = last.get(row.conversation.pk, ("", ""))
            row.last = " ".join(text.split())
            row.visitor_is_here = row.conversation.pk in watched
        elif row.ticket is not None:
            row.last = " ".join(row.ticket.message[:PREVIEW].split())
    return rows
