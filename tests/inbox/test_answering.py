"""Teammates answer: one at a time, seen or mailed; and the agent heeds what is whispered to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from conversations import live, outbox, takeover, visible
from conversations.inbox import listing, notes, presence, stepping, watching
from conversations.inbox.watching import InboxWatch, Page
from conversations.models import Conversation, Message, OutboxItem
from conversations.replying import AnsweredMeanwhile, reply
from conversations.takeover import NotOpen
from halo import wire
from orgs.models import AuditEntry, User
from sessions.models import EndUser
from tests.cast import Cast
from tests.inbox.conftest import Browser, visitor_writes

As = Callable[[User], Browser]


def answered(talk: Conversation, by: User, text: str = "Hello!", seen: int | None = None) -> Message:
    return reply(conversation=talk, text=text, by=by, seen=seen)


# --- Two teammates at once ---------------------------------------------------------------------------------------------


def test_of_two_who_answer_at_once_the_second_is_told_and_may_still_send(
    transactional_db: None, cast: Cast, talk: Conversation
) -> None:
    takeover.take_over(conversation=talk, by=cast.sue)
    talk.refresh_from_db()

    def send(person: User) -> str:
        try:
            return str(answered(talk, person, f"Hello from {person}", seen=talk.seq).person)
        except AnsweredMeanwhile as error:
            return error.message
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(send, (cast.sue, cast.ada)), key=len)

    assert told[0] in ("Sue", "Ada") and told[1].startswith(f"{told[0]} has answered meanwhile")
    assert Message.objects.filter(author="teammate").count() == 1
    second = cast.ada if told[0] == "Sue" else cast.sue
    talk.refresh_from_db()
    assert answered(talk, second, seen=talk.seq).pk, "who has read it may answer too"


def test_who_answers_again_is_not_kept_up_by_their_own_words(cast: Cast, talk: Conversation) -> None:
    takeover.take_over(conversation=talk, by=cast.sue)
    answered(talk, cast.sue, "One", seen=1)
    answered(talk, cast.sue, "Two", seen=1)
    assert Message.objects.filter(author="teammate").count() == 2


def test_sending_takes_over_from_the_agent_and_its_ticket_with_it(
    cast: Cast, talk: Conversation, ticket: Any, as_: As
) -> None:
    refused = as_(cast.sue).post(f"c/{talk.pk}/reply/", text="Hello")
    assert refused.status_code == 409 and "Take the conversation over" in refused.json()["error"]
    as_(cast.sue).done(f"c/{talk.pk}/reply/", text="Hello", take="1")
    talk.refresh_from_db()
    ticket.refresh_from_db()
    assert (talk.taken_over_by, ticket.assignee, ticket.status) == (cast.sue, cast.sue, "in_progress")
    assert as_(cast.sue).post(f"c/{talk.pk}/reply/", text="  ", take="1").status_code == 400


def test_who_looks_and_who_writes_is_seen_by_others_for_some_seconds(
    cast: Cast, talk: Conversation, as_: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    def there() -> list[tuple[str, bool]]:
        found = presence.who_is_at(cast.acme.org.pk, [talk.pk]).get(talk.pk, [])
        return sorted((one.name, one.writes) for one in found)

    sue, ada = as_(cast.sue), as_(cast.ada)
    sue.done(f"at/{talk.pk}/here/", state="looking")
    ada.done(f"at/{talk.pk}/here/", state="writing")
    assert there() == [("Ada", True), ("Sue", False)]
    assert "Ada writes" in sue.text("list/", view="live")
    assert presence.who_is_at(cast.globex.org.pk, [talk.pk]) == {}
    ada.done(f"at/{talk.pk}/here/", state="left")
    assert there() == [("Sue", False)]
    monkeypatch.setattr(presence.time, "time", lambda: timezone.now().timestamp() + 60)
    assert there() == []


def test_a_visitor_is_told_of_a_reply_that_is_written_and_of_no_note(cast: Cast, talk: Conversation, as_: As) -> None:
    stepping.take_over(conversation=talk, by=cast.sue)
    offset = live.watch(talk.pk)

    def told() -> list[str]:
        return [nudge.kind for nudge in live.read(talk.pk, after=offset, wait_seconds=0.01)]

    as_(cast.sue).done(f"at/{talk.pk}/here/", state="writing")
    as_(cast.ana).done(f"at/{talk.pk}/here/", state="replying")
    assert told() == []
    as_(cast.sue).done(f"at/{talk.pk}/here/", state="replying")
    assert told() == [live.TYPING]


# --- What staff write to each other, and to the agent --------------------------------------------------------------


def test_notes_are_for_staff_alone_and_their_author_may_take_them_away(cast: Cast, talk: Conversation, as_: As) -> None:
    note = notes.write_note(about=talk, text="Be careful.", by=cast.ana)
    assert visible.read(talk, after=None).messages[-1]["text"] != "Be careful."
    assert "Be careful." not in str(visible.transcript(talk.session, after=None))
    assert as_(cast.sue).post(f"at/{talk.pk}/note/remove/", id=note.pk).status_code == 404
    assert as_(cast.ana).post(f"at/{talk.pk}/note/", text=" ").status_code == 400
    as_(cast.ana).done(f"at/{talk.pk}/note/remove/", id=note.pk)
    kept = AuditEntry.objects.filter(action__startswith="note.").order_by("pk")
    assert [entry.action for entry in kept] == ["note.written", "note.removed"]
    assert "careful" not in str([entry.after for entry in kept])


def test_a_hint_can_be_taken_back_and_none_is_given_where_no_agent_answers(
    cast: Cast, talk: Conversation, as_: As
) -> None:
    hint = notes.whisper(conversation=talk, text="Hush", by=cast.sue)
    as_(cast.ada).done(f"c/{talk.pk}/whisper/back/", id=hint.pk)
    assert as_(cast.ada).post(f"c/{talk.pk}/whisper/back/", id=hint.pk).status_code == 404
    for number in range(notes.MOST_WHISPERS):
        notes.whisper(conversation=talk, text=f"Hint {number}", by=cast.sue)
    assert as_(cast.sue).post(f"c/{talk.pk}/whisper/", text="One more").status_code == 409
    takeover.take_over(conversation=talk, by=cast.sue)
    with pytest.raises(NotOpen):
        notes.whisper(conversation=talk, text="Too late", by=cast.sue)


# --- Live ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(cast: Cast, talk: Conversation) -> Iterator[InboxWatch]:
    view = listing.find_view(cast.acme.org, "open")
    watch = InboxWatch(Page(org=cast.acme.org, person=cast.sue, view=view, most=50, about=talk))
    # The first sign of life is sent at once, the second when the page has been looked at.
    assert [next(watch).kind for _ in range(2)] == ["waiting"] * 2
    yield watch
    watch.close()


def kinds(watch: InboxWatch, number: int) -> list[str]:
    found: list[str] = []
    while len(found) < number:
        event = next(watch)
        if event.kind != "waiting":
            found.append(event.kind)
    return found


def test_a_page_is_told_what_of_it_has_changed(
    cast: Cast, talk: Conversation, watched: InboxWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LIST_SECONDS", 0.0)
    notes.write_note(about=talk, text="Look", by=cast.ada)
    assert kinds(watched, 1) == ["thread"]
    presence.be_here(org_id=talk.org_id, about=talk.pk, by=cast.ada, writes=True)
    event = next(watched)
    assert (event.kind, event.data) == ("here", {"people": [{"name": "Ada", "writes": True}]})
    takeover.take_over(conversation=talk, by=cast.ada)
    assert set(kinds(watched, 2)) == {"list", "thread"}


def test_without_redis_a_page_is_told_by_the_rows(
    cast: Cast, talk: Conversation, watched: InboxWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(wire, "is_away", lambda: True)
    visitor_writes(talk, "Hello?")
    assert kinds(watched, 1) == ["thread"]


def test_places_of_staff_are_few_and_given_back(transactional_db: None, cast: Cast, as_: As) -> None:
    sue = as_(cast.sue)
    open_ones = [sue.get("events/") for _ in range(watching.PER_PERSON)]
    assert {answer["Content-Type"] for answer in open_ones} == {"text/event-stream"}
    assert sue.get("events/").status_code == 429
    other = as_(cast.ada).get("events/")
    assert other.status_code == 200
    for answer in (*open_ones, other):
        answer.close()
    again = sue.get("events/")
    assert again.status_code == 200
    again.close()


# --- Seen, or mailed ---------------------------------------------------------------------------------------------------


def later() -> None:
    OutboxItem.objects.filter(done_at=None).update(next_attempt_at=timezone.now() - dt.timedelta(seconds=1))


@pytest.fixture
def taken(cast: Cast, talk: Conversation) -> Conversation:
    stepping.take_over(conversation=talk, by=cast.sue)
    talk.refresh_from_db()
    return talk


def test_what_a_visitor_who_left_did_not_see_is_mailed_once_and_together(cast: Cast, taken: Conversation) -> None:
    answered(taken, cast.sue, "It is **shipped**.")
    answered(taken, cast.sue, "It arrives on Friday.")
    assert outbox.send_due() == 0 and not mail.outbox, "a moment is left for the browser to show it"
    later()
    outbox.send_due()
    (sent,) = mail.outbox
    assert sent.to == ["vera@visitor.example"] and sent.subject == "Sue from Acme answered you"
    assert "It is **shipped**." in sent.body and "It arrives on Friday." in sent.body
    assert sent.extra_headers["Message-ID"].startswith("<message.")
    later()
    outbox.send_due()
    assert len(mail.outbox) == 1
    answered(taken, cast.sue, "It has arrived.")
    later()
    outbox.send_due()
    assert len(mail.outbox) == 2 and "shipped" not in mail.outbox[1].body


def test_what_the_visitor_has_read_or_answered_is_not_mailed(cast: Cast, taken: Conversation, as_: As) -> None:
    answered(taken, cast.sue, "Seen")
    assert "Not seen yet" in as_(cast.sue).text(f"c/{taken.pk}/")
    visible.transcript(taken.session, after=None)
    assert "Not seen yet" not in as_(cast.sue).text(f"c/{taken.pk}/")
    answered(taken, cast.sue, "Answered")
    visitor_writes(taken, "Thanks")
    later()
    outbox.send_due()
    assert not mail.outbox and not OutboxItem.objects.filter(done_at=None).exists()


@pytest.mark.parametrize("email", ["", "no address", "a@b.example\nBcc: c@d.example"])
def test_without_an_address_nothing_is_mailed(cast: Cast, taken: Conversation, person: EndUser, email: str) -> None:
    EndUser.objects.filter(pk=person.pk).update(email=email)
    answered(taken, cast.sue)
    later()
    outbox.send_due()
    assert not mail.outbox and not OutboxItem.objects.filter(done_at=None).exists()
