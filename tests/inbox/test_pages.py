"""Who sees what in the inbox, and that nothing of a visitor's runs there."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations import tickets
from conversations.inbox import notes, stepping, ticketing
from conversations.models import CannedReply, Conversation, Message, Ticket
from orgs.models import AuditEntry, Team, User
from sessions.models import EndUser
from tests.admin.furnished import add_conversation
from tests.cast import Cast
from tests.inbox.conftest import Browser, visitor_writes

As = Callable[[User], Browser]
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'>"


def test_a_conversation_is_read_with_all_that_belongs_to_it_and_reading_it_is_audited(
    cast: Cast, talk: Conversation, ticket: Ticket, as_: As
) -> None:
    notes.write_note(about=talk, text="She called, too.", by=cast.ana)
    notes.whisper(conversation=talk, text="Offer the voucher.", by=cast.sue)
    page = as_(cast.sue).text(f"c/{talk.pk}/")
    for told in ("Vera", "Acme question 1", "<strong>Acme answer</strong>", "She called, too.", "Offer the voucher.",
                 "Where is my order?", "vera@visitor.example"):  # fmt: skip
        assert told in page, told
    assert AuditEntry.objects.filter(action="transcript.read", actor=cast.sue, target_id=str(talk.pk)).count() == 1


def test_what_is_renewed_by_the_page_that_opened_it_is_not_audited_again_and_what_is_taken_by_itself_is(
    cast: Cast, talk: Conversation, as_: As
) -> None:
    sue, read = as_(cast.sue), AuditEntry.objects.filter(action="transcript.read")
    page = sue.get(f"c/{talk.pk}/")
    token = page.context["page_settings"].split('"pass": "')[1].split('"')[0]
    assert "Acme question" in sue.text(f"c/{talk.pk}/part/", **{"pass": token})
    assert read.count() == 1
    sue.text(f"c/{talk.pk}/part/")
    assert read.count() == 2
    as_(cast.ada).text(f"c/{talk.pk}/part/", **{"pass": token})
    assert read.count() == 3, "another person's token is none"


def test_nothing_inline_is_on_the_page_and_its_policy_allows_none(
    cast: Cast, person: EndUser, talk: Conversation, as_: As
) -> None:
    EndUser.objects.filter(pk=person.pk).update(name=HOSTILE, email=HOSTILE, custom_fields={HOSTILE: HOSTILE})
    Message.objects.filter(conversation=talk).update(text=HOSTILE)
    tickets.open_ticket(
        org=cast.acme.org, session=talk.session, conversation=talk, subject=HOSTILE, message=HOSTILE, source="api"
    )
    notes.write_note(about=talk, text=HOSTILE, by=cast.sue)
    notes.whisper(conversation=talk, text=HOSTILE, by=cast.sue)
    answer = as_(cast.sue).get(f"c/{talk.pk}/")
    page = answer.content.decode()
    assert (
        "<script>alert" not in page and "<img src=x" not in page and "onerror=alert(1)>" not in page.replace("&gt;", "")
    )
    assert "<script>" not in page and "style=" not in page and "onclick" not in page
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in f"{policy};" and "unsafe" not in policy


@pytest.mark.parametrize("name", ["omar", "ada", "sue", "root"])
def test_who_works_in_the_inbox_takes_over_replies_whispers_and_works_on_tickets(
    cast: Cast, talk: Conversation, ticket: Ticket, as_: As, name: str
) -> None:
    browser = as_(getattr(cast, name))
    browser.done(f"c/{talk.pk}/whisper/", text="Be kind.")
    browser.done(f"t/{ticket.pk}/change/", priority="priority")
    browser.done(f"c/{talk.pk}/reply/", text="Hello!", take="1", seen="1")
    browser.done(f"c/{talk.pk}/hand-back/")
    browser.done(f"c/{talk.pk}/take-over/")
    browser.done(f"at/{talk.pk}/note/?org={cast.acme.org.pk}", text="Done.")
    browser.done(f"c/{talk.pk}/close/")
    talk.refresh_from_db()
    ticket.refresh_from_db()
    assert (talk.status, ticket.status, ticket.priority) == ("closed", "resolved", "priority")


def test_an_analyst_reads_and_writes_notes_and_does_nothing_else(
    cast: Cast, talk: Conversation, ticket: Ticket, as_: As
) -> None:
    ana = as_(cast.ana)
    page = ana.text(f"c/{talk.pk}/")
    assert "take-over" not in page and "data-reply" not in page and f"t/{ticket.pk}/change/" not in page
    ana.done(f"at/{talk.pk}/note/", text="The answer was right.")
    for act in ("take-over", "hand-back", "close", "reply", "whisper", "whisper/back", "ticket"):
        assert ana.post(f"c/{talk.pk}/{act}/", text="x", take="1").status_code == 403, act
    assert ana.post(f"t/{ticket.pk}/change/", status="spam").status_code == 403
    ticket.refresh_from_db()
    assert ticket.status == "open" and not Message.objects.filter(author="teammate").exists()


def test_a_stranger_finds_nothing_and_unknown_looks_the_same(
    cast: Cast, talk: Conversation, ticket: Ticket, as_: As
) -> None:
    gus = as_(cast.gus)
    alone = tickets.open_ticket(org=cast.acme.org, subject="Alone", message="Alone", source="api")
    note = notes.write_note(about=talk, text="A note", by=cast.sue)
    assert "Acme" not in gus.text("") and "Vera" not in gus.text("", view="open")
    for known, kind in ((talk.pk, "c"), (ticket.pk, "t"), (alone.pk, "t")):
        for key in (known, uuid.uuid4()):
            for part in ("", "part/"):
                assert gus.get(f"{kind}/{key}/{part}").status_code == 404
    for key in (talk.pk, alone.pk, uuid.uuid4()):
        assert gus.get("events/", at=key).status_code == 404
        for act in ("note", "note/remove", "here"):
            assert gus.post(f"at/{key}/{act}/", text="x", id=note.pk, state="looking").status_code == 404
    for key in (talk.pk, uuid.uuid4()):
        for act in ("take-over", "hand-back", "close", "reply", "whisper", "whisper/back", "ticket"):
            assert gus.post(f"c/{key}/{act}/", text="x", take="1").status_code == 404, act
    assert gus.post(f"t/{ticket.pk}/change/", status="spam").status_code == 404
    for address in ("", "list/", "canned/", "events/"):
        assert gus.get(address, org=cast.acme.org.pk).status_code == 404
    assert as_(cast.sue).get(f"c/{talk.pk}/").status_code == 200


def test_nobody_who_is_not_logged_in_gets_further_than_the_login(talk: Conversation, client: object) -> None:
    for path in ("", f"c/{talk.pk}/", "list/", "events/", "canned/"):
        answer = client.get(f"/inbox/{path}")  # type: ignore[attr-defined]
        assert answer.status_code == 302 and "/admin/login/" in answer["Location"], path


def test_lists_hold_what_their_name_says(cast: Cast, talk: Conversation, ticket: Ticket, as_: As) -> None:
    sue, ben = as_(cast.sue), as_(cast.ada)
    team = Team.objects.create(org=cast.acme.org, name="Billing")

    def held(browser: Browser, view: str) -> bool:
        return f'data-row="{talk.pk}"' in browser.text("list/", view=view)

    def lists(browser: Browser) -> set[str]:
        views = ("mine", "unassigned", "open", "live", "snoozed", "done", "spam", f"team-{team.pk}")
        return {view.split("-")[0] for view in views if held(browser, view)}

    assert lists(sue) == {"unassigned", "open", "live"}
    ticketing.change_ticket(ticket=ticket, changes={"assignee": cast.sue, "team": team}, by=cast.ada)
    assert lists(sue) == {"mine", "open", "live", "team"} and lists(ben) == {"open", "live", "team"}
    stepping.take_over(conversation=talk, by=cast.ada)
    assert lists(ben) == {"mine", "open", "team"}
    sue.done(f"t/{ticket.pk}/change/", snooze="hour")
    assert lists(sue) == {"open", "snoozed"}, "the conversation is still with a person"
    stepping.close(conversation=talk, by=cast.ada)
    assert lists(sue) == {"done"} and lists(ben) == {"done"}
    sue.done(f"t/{ticket.pk}/change/", status="spam")
    assert lists(sue) == {"spam"}


def test_who_waits_for_us_is_marked_and_who_was_answered_is_not(cast: Cast, talk: Conversation, as_: As) -> None:
    sue = as_(cast.sue)
    stepping.take_over(conversation=talk, by=cast.sue)
    visitor_writes(talk, "Are you there?")
    assert "waits for us" in sue.text("list/", view="mine") and "Are you there?" in sue.text("list/", view="mine")
    stepping.answer(conversation=talk, text="Yes.", by=cast.sue, seen=None, take=False)
    assert "waits for us" not in sue.text("list/", view="mine")


def test_twenty_rows_cost_what_two_do(cast: Cast, person: EndUser, as_: As) -> None:
    sue = as_(cast.sue)

    def add(number: int) -> None:
        for _ in range(number):
            one = add_conversation(cast.acme, person)
            ticketing.make_ticket(conversation=one, by=cast.sue)

    def queries(path: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as counted:
            sue.text(path)
        return len(counted)

    add(2)
    few = queries("list/")
    add(18)
    # Session, person, role, organisation, whether there are several; tickets, conversations, last words, teams, counts.
    assert queries("list/") == few <= 12
    talk = Conversation.objects.filter(org=cast.acme.org).latest("pk")
    # And besides: the conversation, its messages, images, notes, hints, turns, snapshot, tickets, earlier ones, people.
    assert queries(f"c/{talk.pk}/") <= 30


def test_canned_replies_are_offered_to_their_organisation_and_made_by_who_answers(cast: Cast, as_: As) -> None:
    CannedReply.objects.create(org=cast.acme.org, name="refund", text="It is on its way.")
    assert as_(cast.sue).get("canned/").json() == {"replies": [{"name": "refund", "text": "It is on its way."}]}
    assert as_(cast.gus).get("canned/").json() == {"replies": []}
    made = {"name": "hours", "text": "We are there from nine to five."}
    assert as_(cast.ana).client.post("/admin/conversations/cannedreply/add/", made).status_code == 403
    assert as_(cast.sue).client.post("/admin/conversations/cannedreply/add/", made).status_code == 302
    assert (
        as_(cast.sue).client.post("/admin/conversations/cannedreply/add/", made | {"name": "HOURS"}).status_code == 200
    )
    assert as_(cast.sue).client.post("/admin/conversations/cannedreply/add/", made | {"name": "a b"}).status_code == 200
    assert CannedReply.objects.filter(org=cast.acme.org).count() == 2


def test_who_has_several_organisations_says_which_and_stays_there(cast: Cast, talk: Conversation, as_: As) -> None:
    cast.sue.memberships.create(org=cast.globex.org, role="support")
    sue = as_(cast.sue)
    assert "Which organisation?" in sue.text("")
    assert str(talk.pk) in sue.text("", org=cast.acme.org.pk, view="live")
    assert str(talk.pk) not in sue.text("", org=cast.globex.org.pk, view="live")
    assert "Vera" in sue.text(f"c/{talk.pk}/")
    sue.done(f"at/{talk.pk}/note/?org={cast.acme.org.pk}", text="Mine")
    assert sue.post(f"at/{talk.pk}/note/?org={cast.globex.org.pk}", text="Not there").status_code == 404
