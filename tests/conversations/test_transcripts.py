"""Transcripts at /transcripts/: what analysts find, read and keep, and what nobody else sees."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.models import RoutingRule
from conversations.models import AnswerLabel, Conversation, Note, SavedView, Ticket, Turn
from conversations.transcripts import search
from orgs.models import AuditEntry, Team, User
from sessions.models import Company, EndUser, Event
from tests.cast import Cast
from tests.conversations.talks import LIST, NOW, ids, shown, talk

# --- Finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("refund", "both"),
        ("REFUNDS", "first"),
        ("zurich", "first"),
        ("Zürich", "first"),
        ('"my refund"', "second"),
        ("refund -zurich", "second"),
        ("err-404", "second"),
        ("zurich or err-404", "both"),
        ("invoice", ""),
        ("' & !! <->", ""),
        ("\x00", ""),
    ],
)
def test_words_find_conversations_newest_first_whatever_their_case_and_accents(
    cast: Cast, ana: Client, text: str, found: str
) -> None:
    second = talk(cast.acme, "Where is my refund?", "It says ERR-404 here.", ago=9)
    first = talk(cast.acme, "Do you send refunds to Zürich?", "Yes.", ago=5)
    named = {"both": [first, second], "first": [first], "second": [second], "": []}
    assert shown(ana.get(LIST, {"q": text})) == ids(*named[found])


def test_hits_are_marked_and_what_visitors_wrote_is_escaped(cast: Cast, ana: Client) -> None:
    nasty = "<script>alert(1)</script> refund <img src=x onerror=refund>"
    conversation = talk(cast.acme, nasty, "**Refund** [refund](https://refund.example/a) <b onclick=x>refund</b>")
    for url in (LIST, reverse("transcript", args=[conversation.pk])):
        page = ana.get(url, {"q": "refund"}).content.decode()
        assert "<mark>refund</mark>" in page and "<script>alert" not in page and "<img src=x" not in page
        assert "<b onclick" not in page
    assert "<strong><mark>Refund</mark></strong>" in page
    # The link still leads where it led.
    assert 'href="https://refund.example/a"' in page


FILTERS: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({"outcome": "escalated"}, {"outcome": "escalated"}),
    ({"kind": "needs_fact"}, {"answer_type": "needs_fact"}),
    ({"below": "40"}, {"lowest_confidence": 0.3}),
    ({"from": "90"}, {"lowest_confidence": 0.95}),
    ({"escalated": "yes"}, {"escalated": True}),
    ({"rating": "down"}, {"rating": "down"}),
    ({"verified": "yes"}, {"verified": True}),
    ({"language": "pt"}, {"language": "pt-BR"}),
    ({"images": "yes"}, {"has_images": True}),
    ({"error": "yes"}, {"has_error": True}),
    ({"status": "closed"}, {"status": "closed"}),
    ({"origin": "imported"}, {"origin": "imported", "origin_key": "x"}),
]


@pytest.mark.parametrize(("asked", "summary"), FILTERS, ids=[next(iter(asked)) for asked, _ in FILTERS])
def test_each_filter_lets_through_what_fits_and_its_chip_takes_it_away(
    cast: Cast, ana: Client, asked: dict[str, str], summary: dict[str, Any]
) -> None:
    fits, other = talk(cast.acme, "a", ago=2, **summary), talk(cast.acme, "b", ago=1, lowest_confidence=0.6)
    response = ana.get(LIST, asked)
    assert shown(response) == ids(fits)
    (chip,) = re.findall(r'class="chip" href="(\?[^"]*)"', response.content.decode())
    assert shown(ana.get(LIST + chip)) == ids(other, fits)


def test_filters_by_agent_version_rule_people_companies_dates_and_judgements(cast: Cast, ana: Client) -> None:
    org = cast.acme.org
    team = Team.objects.create(org=org, name="Billing")
    rule = RoutingRule.objects.create(org=org, agent=cast.acme.agent, name="Refunds", team=team)
    company = Company.objects.create(org=org, external_id="c-1", name="Northwind", domain="northwind.example")
    person = EndUser.objects.create(org=org, external_id="u-1", name="Robin Doe", email="robin@northwind.example")
    fits = talk(cast.acme, "a", person=person, company=company, routing_rule=rule, ago=60 * 24 * 40)
    other = talk(cast.acme, "b")
    AnswerLabel.objects.create(org=org, turn=Turn.objects.get(conversation=fits), verdict="wrong", by="teammate")
    day = fits.last_message_at.date().isoformat()
    for asked in (
        {"rule": str(rule.pk)},
        {"rule": "any"},
        {"company": "northwind"},
        {"company": "c-1"},
        {"person": "robin"},
        {"person": str(person.pk)},
        {"until": day},
        {"since": day, "until": day},
        {"judged": "wrong"},
        {"q": str(fits.pk)},
        {"q": str(Turn.objects.get(conversation=fits).pk)},
    ):
        assert shown(ana.get(LIST, asked)) == ids(fits), asked
    both = {"agent": str(cast.acme.agent.pk), "version": str(cast.acme.agent.current_version.number)}
    assert shown(ana.get(LIST, both)) == ids(other, fits)
    assert shown(ana.get(LIST, {"version": "77"})) == []
    assert shown(ana.get(LIST, {"judged": "right"})) == []


def test_what_makes_no_sense_in_an_address_is_left_out(cast: Cast, ana: Client) -> None:
    conversation = talk(cast.acme, "a")
    odd = {"outcome": "x", "below": "1e9", "from": "-1", "since": "0001-13-99", "until": "9999-12-31", "version": "²",
           "language": "xx", "after": "1-2", "before": "99999999999999999-x", "upto": "x"}  # fmt: skip
    assert shown(ana.get(LIST, odd)) == ids(conversation)
    assert ana.get(reverse("transcript", args=[conversation.pk]), odd).status_code == 200


def test_pages_follow_each_other_without_a_gap_even_where_moments_are_the_same(
    cast: Cast, ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PAGE", 3)
    monkeypatch.setattr(search.find, "__kwdefaults__", {**search.find.__kwdefaults__, "size": 3})
    made = [talk(cast.acme, "refund", ago=number // 3) for number in range(8)]
    expected = ids(*sorted(made, key=lambda row: (-row.last_message_at.timestamp(), row.pk)))
    for text in ({}, {"q": "refund"}):
        response, seen = ana.get(LIST, text), []
        for _ in range(3):
            seen += shown(response)
            older = re.search(r'href="(\?[^"]*)" rel="next"', response.content.decode())
            if older:
                response = ana.get(LIST + older.group(1).replace("&amp;", "&"))
        assert seen == expected and older is None
        newer = re.search(r'href="(\?[^"]*)" rel="prev"', response.content.decode())
        assert newer and shown(ana.get(LIST + newer.group(1).replace("&amp;", "&"))) == expected[3:6]


def test_words_that_many_messages_have_are_looked_for_step_by_step(
    cast: Cast, ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW", 1)
    monkeypatch.setattr(search, "FIRST_STEP", 2)
    monkeypatch.setattr(search, "LOOKED_THROUGH", 4)
    made = [talk(cast.acme, "refund" if number in (0, 1, 5) else "hello", ago=number) for number in range(7)]
    first = ana.get(LIST, {"q": "refund"})
    assert shown(first) == ids(made[0], made[1])
    further = re.search(r'href="(\?[^"]*)" rel="next">Look further back', first.content.decode())
    assert further and "Looked through the conversations back to" in first.content.decode()
    assert shown(ana.get(LIST + further.group(1).replace("&amp;", "&"))) == ids(made[5])


def test_words_that_few_messages_have_are_looked_up_where_looking_through_is_not_worth_it(
    cast: Cast, ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FIRST_STEP", 2)
    monkeypatch.setattr(search, "LOOKED_THROUGH", 4)
    monkeypatch.setattr(search, "WORTH_LOOKING", 0)
    made = [talk(cast.acme, "refund" if number in (0, 5, 9) else "hello", ago=number) for number in range(10)]
    talk(cast.globex, "refund")
    assert shown(ana.get(LIST, {"q": "refund"})) == ids(made[0], made[5], made[9])
    Conversation.objects.filter(pk=made[5].pk).update(rating="down")
    assert shown(ana.get(LIST, {"q": "refund", "rating": "none"})) == ids(made[0], made[9])
    page = ana.get(reverse("transcript", args=[made[5].pk]), {"q": "refund"}).content.decode()
    assert str(made[0].pk) in page and str(made[9].pk) in page, "they stand beside it in the result"


def test_a_list_costs_the_same_for_two_rows_and_for_many(cast: Cast, ana: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            assert ana.get(LIST, {"q": "refund", "outcome": "answered"}).status_code == 200
        return len(caught)

    for number in range(2):
        talk(cast.acme, "refund", outcome="answered", ago=number)
    # What a process learns once is not counted.
    queries()
    few = queries()
    for number in range(20):
        talk(cast.acme, "refund", outcome="answered", ago=number)
    # Session, person and roles; the organisation; agents, rules and versions to choose from; the words as the index
    # has them, conversations and which of them have the words, rows and hits; the views.
    assert few == queries() <= 14


# --- Reading ---------------------------------------------------------------------------------------------------------


def test_a_transcript_shows_all_there_is_on_a_time_line_and_reading_is_audited(cast: Cast, ana: Client) -> None:
    org = cast.acme.org
    person = EndUser.objects.create(org=org, external_id="u-1", name="Robin Doe")
    conversation = talk(cast.acme, "Where is it?", "**On its way**", person=person)
    Event.objects.create(
        org=org,
        session=conversation.session,
        event_type="rage_click",
        page_url="https://x.example/cart",
        created_at=NOW,
    )
    Ticket.objects.create(org=org, number=7, conversation=conversation, subject="Lost parcel", message="x")
    page = ana.get(reverse("transcript", args=[conversation.pk])).content.decode()
    for part in ("Where is it?", "<strong>On its way</strong>", "Robin Doe", "confidence 80 %", "answerability", "gold",
                 "rage_click on https://x.example/cart", "#7", "Lost parcel", "How this came about", "version 1"):  # fmt: skip
        assert part in page, part
    assert conversation.session.session_id not in page
    entry = AuditEntry.objects.get(action="transcript.read")
    assert (entry.org, entry.actor, entry.target_id) == (org, cast.ana, str(conversation.pk))


def test_next_and_previous_stay_within_the_result(cast: Cast, ana: Client) -> None:
    newest, between, oldest = (
        talk(cast.acme, text, ago=ago) for text, ago in (("refund", 1), ("invoice", 2), ("refund", 3))
    )
    page = ana.get(reverse("transcript", args=[newest.pk]), {"q": "refund"}).content.decode()
    assert f'href="/transcripts/{oldest.pk}/?q=refund" rel="next"' in page and 'rel="prev"' not in page
    page = ana.get(reverse("transcript", args=[between.pk])).content.decode()
    assert f'href="/transcripts/{oldest.pk}/" rel="next"' in page
    assert f'href="/transcripts/{newest.pk}/" rel="prev"' in page


def test_answers_are_judged_here_too_and_one_comes_back_to_the_same_place(cast: Cast, ana: Client) -> None:
    conversation = talk(cast.acme, "a", "b")
    turn = Turn.objects.get(conversation=conversation)
    url = reverse("transcript-judge", args=[conversation.pk, turn.pk])
    told = ana.post(url, {"verdict": "wrong", "comment": "No.", "back": "q=a&evil=//x.example"})
    assert (told.status_code, told["Location"]) == (302, f"/transcripts/{conversation.pk}/?q=a#turn-{turn.pk}")
    label = AnswerLabel.objects.get()
    assert (label.verdict, label.person, label.comment) == ("wrong", cast.ana, "No.")


def test_notes_are_written_read_by_all_staff_and_removed_by_whoever_wrote_them(
    cast: Cast, ana: Client, as_: Callable[[User], Client]
) -> None:
    conversation = talk(cast.acme, "a", "b")
    page = reverse("transcript", args=[conversation.pk])
    told = ana.post(f"{page}notes/", {"text": "Ask <b>Sue</b>.", "back": "q=a"})
    assert told["Location"] == f"{page}?q=a#notes"
    note, sue = Note.objects.get(), as_(cast.sue)
    assert "Ask &lt;b&gt;Sue&lt;/b&gt;." in sue.get(page).content.decode()
    assert "A note needs words." in ana.post(f"{page}notes/", {"text": " "}, follow=True).content.decode()
    remove = f"{page}notes/remove/"
    assert sue.post(remove, {"id": note.pk}).status_code == ana.post(remove, {"id": "x"}).status_code == 404
    assert as_(cast.gus).post(remove, {"id": note.pk}).status_code == 404
    assert as_(cast.gus).post(f"{page}notes/", {"text": "x"}).status_code == 404
    assert ana.post(remove, {"id": note.pk}).status_code == 302 and not Note.objects.exists()


# --- Who may ---------------------------------------------------------------------------------------------------------


def test_a_stranger_finds_nothing_of_others_and_cannot_tell_it_from_nothing(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    conversation = talk(cast.acme, "refund")
    view = SavedView.objects.create(org=cast.acme.org, owner=cast.ana, name="Mine", query="q=refund", is_shared=True)
    turn = Turn.objects.get(conversation=conversation)
    gus, nobody = as_(cast.gus), uuid.uuid4()
    assert shown(gus.get(LIST)) == shown(gus.get(LIST, {"q": "refund"})) == []
    assert shown(gus.get(LIST, {"q": str(conversation.pk)})) == []
    assert "Mine" not in gus.get(LIST).content.decode()
    for method, name, args, unknown in (
        (gus.get, "transcript", [conversation.pk], [nobody]),
        (gus.post, "transcript-judge", [conversation.pk, turn.pk], [nobody, turn.pk]),
        (gus.post, "transcripts-delete-view", [view.pk], [nobody]),
    ):
        foreign, none = method(reverse(name, args=args)), method(reverse(name, args=unknown))
        assert foreign.status_code == none.status_code == 404 and foreign.content == none.content, name
    for asked in (
        {"org": str(cast.acme.org.pk)},
        {"org": str(nobody)},
        {"agent": str(cast.acme.agent.pk)},
        {"rule": "1"},
    ):
        assert gus.get(LIST, asked).status_code == 404, asked
    # His own conversation does not take another's turn along.
    own = talk(cast.globex, "hello")
    assert gus.post(reverse("transcript-judge", args=[own.pk, turn.pk]), {"verdict": "right"}).status_code == 404


def test_every_role_reads_and_nobody_without_one(cast: Cast, as_: Callable[[User], Client]) -> None:
    conversation = talk(cast.acme, "a")
    url = reverse("transcript", args=[conversation.pk])
    for person in (cast.omar, cast.ada, cast.sue, cast.ana, cast.root):
        assert as_(person).get(url).status_code == 200
    for address in (LIST, url):
        sent = Client().get(address)
        assert sent.status_code == 302 and urlsplit(sent["Location"]).path == "/admin/login/"
        assert parse_qs(urlsplit(sent["Location"]).query)["next"] == [address]
    nobody = User.objects.create_user("nobody@acme.example", "x", name="Nobody")
    assert as_(nobody).get(url).status_code == 302
    assert as_(cast.ana).post(LIST).status_code == 405


def test_whoever_has_several_organisations_is_asked_and_what_superusers_read_is_audited(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    conversation = talk(cast.acme, "refund")
    root = as_(cast.root)
    asked = root.get(LIST, {"q": "refund"}).content.decode()
    assert f'href="?q=refund&amp;org={cast.acme.org.pk}"' in asked
    found = root.get(LIST, {"q": "refund", "org": str(cast.acme.org.pk)})
    assert shown(found) == ids(conversation) and f"org={cast.acme.org.pk}" in found.content.decode()
    assert AuditEntry.objects.get(action="operator.read").org == cast.acme.org


def test_the_pages_allow_nothing_inline_and_nothing_from_elsewhere(cast: Cast, ana: Client) -> None:
    conversation = talk(cast.acme, "a", "b")
    for url in (LIST, reverse("transcript", args=[conversation.pk])):
        response = ana.get(url)
        policy = response["Content-Security-Policy"]
        assert "unsafe" not in policy and "default-src 'none'" in policy and "script-src 'self'" in policy
        page = response.content.decode()
        assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|<style", page)
