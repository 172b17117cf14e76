"""Working on tickets: what may be changed to what, that it is audited, and that the snoozed come back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils import timezone

from conversations import tickets
from conversations.inbox import ticketing
from conversations.models import Conversation, Ticket
from halo.errors import InvalidRequest, NotFound
from orgs.models import AuditEntry, Team, User
from tests.cast import Cast
from tests.inbox.conftest import Browser, visitor_writes

As = Callable[[User], Browser]
HOUR = dt.timedelta(hours=1)


def test_each_change_is_audited_with_what_was_before(cast: Cast, ticket: Ticket, as_: As) -> None:
    team = Team.objects.create(org=cast.acme.org, name="Billing")
    as_(cast.sue).done(f"t/{ticket.pk}/change/", team=str(team.pk), assignee=str(cast.ada.pk), status="in_progress")
    entry = AuditEntry.objects.get(action="ticket.changed")
    assert (entry.actor, entry.before) == (cast.sue, {"status": "open", "team": None, "assignee": None})
    assert entry.after == {"status": "in_progress", "team": str(team.pk), "assignee": str(cast.ada.pk)}
    as_(cast.sue).done(f"t/{ticket.pk}/change/", status="in_progress")
    assert AuditEntry.objects.filter(action="ticket.changed").count() == 1, "nothing has changed"
    as_(cast.sue).done(f"t/{ticket.pk}/change/", assignee="", due_at="2027-01-05T09:30")
    ticket.refresh_from_db()
    assert ticket.assignee is None and ticket.team == team
    assert ticket.due_at == dt.datetime(2027, 1, 5, 9, 30, tzinfo=dt.UTC)


def test_teams_and_people_are_of_the_same_organisation_and_may_work_there(cast: Cast, ticket: Ticket, as_: As) -> None:
    foreign = Team.objects.create(org=cast.globex.org, name="Theirs")
    for change in ({"team": foreign.pk}, {"assignee": cast.gus.pk}, {"assignee": cast.ana.pk}, {"status": "lost"},
                   {"due_at": "soon"}, {"snooze": "ever"}):  # fmt: skip
        assert as_(cast.sue).post(f"t/{ticket.pk}/change/", **change).status_code == 400, change
    with pytest.raises(NotFound):
        ticketing.change_ticket(ticket=ticket, changes={"team": foreign}, by=cast.sue)
    with pytest.raises(InvalidRequest):
        ticketing.change_ticket(ticket=ticket, changes={"assignee": cast.ana}, by=cast.sue)


def test_a_snoozed_ticket_comes_back_when_its_time_has_come_and_not_before(cast: Cast, ticket: Ticket) -> None:
    now = timezone.now()
    for until in (None, now - HOUR, now + 500 * 24 * HOUR):
        with pytest.raises(InvalidRequest):
            changes = {"status": "snoozed", "snoozed_until": until}
            ticketing.change_ticket(ticket=ticket, changes=changes, by=cast.sue)
    ticketing.change_ticket(ticket=ticket, changes={"status": "snoozed", "snoozed_until": now + HOUR}, by=cast.sue)
    assert ticketing.wake(now=now) == 0
    assert ticketing.wake(now=now + HOUR) == 1 and ticketing.wake(now=now + HOUR) == 0
    ticket.refresh_from_db()
    assert (ticket.status, ticket.snoozed_until) == ("open", None)
    entry = AuditEntry.objects.filter(action="ticket.changed").latest("pk")
    assert entry.actor is None and entry.after["status"] == "open"


def test_a_snoozed_ticket_comes_back_when_its_visitor_writes(cast: Cast, talk: Conversation, ticket: Ticket) -> None:
    changes = {"status": "snoozed", "snoozed_until": timezone.now() + HOUR}
    ticketing.change_ticket(ticket=ticket, changes=changes, by=cast.sue)
    assert ticketing.wake() == 0
    visitor_writes(talk, "Any news?")
    assert ticketing.wake() == 1


def test_a_conversation_has_one_open_ticket_and_gets_another_when_that_is_settled(
    cast: Cast, talk: Conversation, as_: As
) -> None:
    for _ in range(2):
        as_(cast.sue).done(f"c/{talk.pk}/ticket/")
    made = Ticket.objects.get()
    assert (made.number, made.assignee, made.source, made.subject) == (1, cast.sue, "inbox", "Acme question 1")
    as_(cast.sue).done(f"t/{made.pk}/change/", status="resolved")
    as_(cast.sue).done(f"c/{talk.pk}/ticket/")
    assert [ticket.number for ticket in Ticket.objects.order_by("number")] == [1, 2]


def test_a_ticket_without_a_conversation_has_a_page_and_notes(cast: Cast, as_: As) -> None:
    alone = tickets.open_ticket(org=cast.acme.org, subject="Invoice", message="It is wrong.", source="website")
    sue = as_(cast.sue)
    assert "It is wrong." in sue.text(f"t/{alone.pk}/") and "It is wrong." in sue.text(f"t/{alone.pk}/part/")
    sue.done(f"at/{alone.pk}/note/", text="Asked bookkeeping.")
    assert "Asked bookkeeping." in sue.text(f"t/{alone.pk}/")
    assert f'data-row="{alone.pk}"' in sue.text("list/", view="unassigned")


def test_a_ticket_of_a_conversation_is_worked_on_there(cast: Cast, talk: Conversation, ticket: Ticket, as_: As) -> None:
    answer = as_(cast.sue).get(f"t/{ticket.pk}/")
    assert (answer.status_code, answer["Location"]) == (302, f"/inbox/c/{talk.pk}/")
