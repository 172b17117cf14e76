"""Working on tickets: state, priority, team, assignee, due time. Changes are audited, told live, and told outside."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from conversations import bell, live, tickets
from conversations.models import Conversation, Message, Ticket
from conversations.outgoing import events
from halo.errors import InvalidRequest, NotFound
from orgs import audit
from orgs.models import Membership, Organization, User
from orgs.permissions import MAY, Action

# What staff may change of a ticket.
COLUMNS = ("status", "priority", "team", "assignee", "due_at", "snoozed_until")
# So many a round; the rest come with the next.
MOST_WOKEN = 500
LONGEST_SNOOZE = dt.timedelta(days=366)


def people_of(org: Organization | uuid.UUID) -> QuerySet[User]:
    """Those to whom a ticket of `org` can be given."""
    roles = sorted(MAY[Action.WORK_INBOX])
    members = Membership.objects.for_org(org).filter(role__in=roles, user__is_active=True)
    return User.objects.filter(pk__in=members.values("user")).order_by("name", "email")


def is_given_tickets(org: Organization | uuid.UUID, person: User) -> bool:
    """Whether `person` is one of them: superusers, who may do everything, need not be."""
    return people_of(org).filter(pk=person.pk).exists()


def change_ticket(
    *, ticket: Ticket, changes: Mapping[str, Any], by: User | None, now: dt.datetime | None = None
) -> Ticket:
    """Writes those of COLUMNS that are in `changes`: values of a state, rows of the same organisation, moments.

    Snoozing needs `snoozed_until` in the future, and every other state forgets it. `by` None: Halo itself.
    """
    now = now or timezone.now()
    with transaction.atomic():
        row: Ticket = (
            Ticket.objects.for_org(ticket.org_id)
            .select_for_update(of=("self",))
            .select_related("team", "assignee", "session__end_user", "requester")
            .get(pk=ticket.pk)
        )
        before = audit.state(row, COLUMNS)
        for name, value in _checked(row, changes, now=now).items():
            setattr(row, name, value)
        was, now_is = audit.changes(before, audit.state(row, COLUMNS))
        if not now_is:
            return row
        row.save(update_fields=[*now_is, "updated_at"])
        audit.record(org=row.org_id, actor=by, action="ticket.changed", target=row, before=was, after=now_is)
        events.tell_of_ticket(row, events.UPDATED, changed=sorted(now_is))
    live.tell_staff(row.org_id, row.conversation_id or row.pk)
    return row


def make_ticket(*, conversation: Conversation, by: User) -> Ticket:
    """A ticket for a conversation that has no open one, given to `by`; else the one that it has."""
    with transaction.atomic():
        row = (
            Conversation.objects.for_org(conversation.org_id)
            .select_for_update(of=("self",))
            .select_related("org", "session")
            .get(pk=conversation.pk)
        )
        if (known := tickets.open_ticket_of(row)) is not None:
            return known
        said = Message.objects.for_org(row.org_id).filter(conversation=row, author=Message.Author.VISITOR)
        about = said.order_by("seq").values_list("text", flat=True).first() or "A conversation"
        ticket = tickets.open_ticket(
            org=row.org,
            session=row.session,
            conversation=row,
            assignee=by if is_given_tickets(row.org_id, by) else None,
            subject=tickets.subject_of(about),
            message=about,
            source="inbox",
        )
        audit.record(org=row.org_id, actor=by, action="ticket.opened", target=ticket)
        transaction.on_commit(bell.ring_outbox)
    live.tell_staff(row.org_id, row.pk)
    return ticket


def wake(*, now: dt.datetime | None = None) -> int:
    """Opens snoozed tickets whose time has come, or whose visitor wrote since; returns how many."""
    now = now or timezone.now()
    wrote = Message.objects.filter(
        org=OuterRef("org"),
        conversation=OuterRef("conversation"),
        author=Message.Author.VISITOR,
        created_at__gt=OuterRef("updated_at"),
    )
    # Every organisation's: each row goes on by its own.
    asleep = Ticket.objects.filter(status=Ticket.Status.SNOOZED)
    due = asleep.filter(
        Q(snoozed_until__lte=now) | (Q(conversation__last_message_at__gt=F("updated_at")) & Exists(wrote))
    )
    woken = 0
    for ticket in due.order_by("snoozed_until")[:MOST_WOKEN]:
        change_ticket(ticket=ticket, changes={"status": Ticket.Status.OPEN}, by=None, now=now)
        woken += 1
    return woken


def _checked(row: Ticket, changes: Mapping[str, Any], *, now: dt.datetime) -> dict[str, Any]:
    found: dict[str, Any] = {name: value for name, value in changes.items() if name in COLUMNS}
    if "status" in found and found["status"] not in Ticket.Status.values:
        raise InvalidRequest("There is no such state.", field="status")
    if "priority" in found and found["priority"] not in Ticket.Priority.values:
        raise InvalidRequest("There is no such priority.", field="priority")
    team, person = found.get("team"), found.get("assignee")
    # SECURITY: a row of another organisation is as unknown as one that is not there.
    if team is not None and team.org_id != row.org_id:
        raise NotFound
    if person is not None and not is_given_tickets(row.org_id, person):
        raise InvalidRequest("A ticket is given to somebody who may work in the inbox.", field="assignee")
    if found.get("status", row.status) != Ticket.Status.SNOOZED:
        found["snoozed_until"] = None
    else:
        until = found.get("snoozed_until", row.snoozed_until)
        if until is None or not now < until <= now + LONGEST_SNOOZE:
            raise InvalidRequest("Say until when it is to sleep: a time to come, within a year.", field="snoozed_until")
    return found
