"""Taking conversations away: who may, what the files hold, and what is told and written down about it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conversations.models import Conversation, Message
from conversations.records import exporting, progress, reading
from conversations.records.exporting import Export
from conversations.records.files import Kind
from conversations.records.selection import read_selection
from conversations.transcripts import search
from halo import wire
from orgs.models import AuditEntry, User
from sessions.models import EndUser
from tests.admin.furnished import Furnished, add_conversation, audited, nobody
from tests.cast import Cast

URL, FILE, PROGRESS = "/admin/export/", "/admin/export/file/", "/admin/export/progress/"
As = Callable[[User], Client]
FORMULA = '=HYPERLINK("https://evil.example","x")'


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer
    return b"".join(answer.streaming_content).decode()


def table(answer: Any) -> list[dict[str, str]]:
    text = text_of(answer)
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


def add_many(cast: Cast, number: int, *, turns: int = 1) -> list[Conversation]:
    person = EndUser.objects.create(org=cast.acme.org, external_id=f"m-{turns}")
    return [add_conversation(cast.acme, person, turns=turns) for _ in range(number)]


@pytest.mark.parametrize("person", ["omar", "ada", "sue", "ana", "gus", "root"])
def test_who_may_export_does(person: str, cast: Cast, as_: As) -> None:
    browser, org = as_(getattr(cast, person)), {"org": cast.acme.org.pk, "what": "messages"}
    expected = {"sue": 403, "gus": 404}.get(person, 200)
    for url in (URL, FILE, PROGRESS):
        answer = browser.get(url, org)
        assert answer.status_code == expected, url
        if answer.streaming:
            text_of(answer)
        assert browser.post(url).status_code == 405
    assert (b'href="/admin/export/"' in browser.get("/admin/").content) == (person != "sue")
    assert AuditEntry.objects.filter(action="conversations.exported").count() == (expected == 200)


def test_a_row_for_each_conversation_says_who_how_it_ended_and_what_was_asked(
    cast: Cast, acme: Furnished, globex: Furnished, as_: As
) -> None:
    answer = as_(cast.ana).get(FILE, {"what": "conversations"})
    assert answer["Content-Disposition"].startswith('attachment; filename="acme-conversations-')
    assert "no-store" in answer["Cache-Control"] and answer["X-Content-Type-Options"] == "nosniff"
    (row,) = table(answer)
    assert row["conversation_id"] == str(acme.rows["conversations.conversation"].pk)
    assert (row["user_id"], row["user_name"], row["agent"]) == ("u-1", "Acme visitor", "Acme assistant")
    assert (row["first_message"], row["tickets"], row["status"]) == ("Acme question 1", "1", "open")
    assert "sess_" not in str(row)


def test_a_row_for_each_message_and_a_line_for_each_conversation(
    cast: Cast, acme: Furnished, globex: Furnished, as_: As
) -> None:
    browser = as_(cast.ana)
    asked, answered = table(browser.get(FILE, {"what": "messages"}))
    assert (asked["author"], asked["text"], asked["confidence"]) == ("visitor", "Acme question 1", "")
    assert (answered["author"], answered["confidence"]) == ("agent", "0.42")
    assert answered["sources"] == "https://help.example/guide"

    answer = browser.get(FILE, {"what": "jsonl"})
    assert answer["Content-Type"].startswith("application/jsonl")
    (line,) = [json.loads(line) for line in text_of(answer).splitlines()]
    assert [message["text"] for message in line["messages"]] == [asked["text"], "**Acme answer** 1"]
    assert line["tickets"] == [1] and line["user"]["user_id"] == "u-1"


def test_no_cell_is_a_formula_and_the_lines_are_as_they_were(cast: Cast, acme: Furnished, as_: As) -> None:
    browser = as_(cast.omar)
    for begins in ("=", "+", "-", "@", "\t", "\r"):
        Message.objects.filter(org=cast.acme.org).update(text=begins + FORMULA)
        EndUser.objects.filter(org=cast.acme.org).update(name=begins + "1+1", email=begins + "2")
        for kind in ("conversations", "messages"):
            for row in table(browser.get(FILE, {"what": kind})):
                assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in row.values()), row
    line = json.loads(text_of(browser.get(FILE, {"what": "jsonl"})))
    assert line["messages"][0]["text"] == "\r" + FORMULA


def test_many_pages_and_long_conversations_come_whole_once_and_in_order(
    cast: Cast, as_: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PAGE", 4), ("TOGETHER", 6), ("WINDOW", 3)):
        monkeypatch.setattr(reading, name, value)
    short, (long,) = add_many(cast, 9), add_many(cast, 1, turns=11)
    same = timezone.now() - dt.timedelta(days=1)
    # Some were quiet at one and the same moment, over the edge of a page.
    Conversation.objects.filter(pk__in=[row.pk for row in short[:6]]).update(last_message_at=same, message_count=2)
    Conversation.objects.filter(pk__in=[row.pk for row in short[6:]]).update(message_count=2)
    Conversation.objects.filter(pk=long.pk).update(message_count=22)
    browser = as_(cast.omar)

    rows = table(browser.get(FILE, {"what": "conversations"}))
    assert sorted(row["conversation_id"] for row in rows) == sorted(str(row.pk) for row in [*short, long])
    said = table(browser.get(FILE, {"what": "messages"}))
    assert len({row["message_id"] for row in said}) == len(said) == 40
    lines = [json.loads(line) for line in text_of(browser.get(FILE, {"what": "jsonl"})).splitlines()]
    assert [line["id"] for line in lines] == [row["conversation_id"] for row in rows]
    (whole,) = [line["messages"] for line in lines if line["id"] == str(long.pk)]
    assert [(one["seq"], one["author"]) for one in whole] == [
        (seq, author) for seq in range(1, 12) for author in ("visitor", "agent")
    ]


def test_days_and_agents_choose_and_a_foreign_agent_is_unknown(cast: Cast, acme: Furnished, as_: As) -> None:
    browser = as_(cast.omar)
    Conversation.objects.filter(org=cast.acme.org).update(
        last_message_at=dt.datetime(2026, 3, 5, 23, 59, 59, 999999, tzinfo=dt.UTC)
    )

    def count(**asked: Any) -> int:
        return len(table(browser.get(FILE, {"what": "conversations", **asked})))

    assert count(since="2026-03-05", until="2026-03-05") == count(agent=cast.acme.agent.pk) == 1
    assert count(since="2026-03-06") == count(until="2026-03-04") == 0
    for agent in (cast.globex.agent.pk, nobody(), "x"):
        assert browser.get(FILE, {"what": "messages", "agent": agent}).status_code == 404
    for bad in (
        {"since": "x"},
        {"since": "2026-03-06", "until": "2026-03-05"},
        {"what": "passwords"},
        {"rating": "sideways"},
        {"below": "101"},
        {"language": "xx"},
        {"until": "\x00"},
    ):
        refused = browser.get(FILE, {"what": "messages", **bad})
        assert (refused.status_code, refused["Location"]) == (302, f"{URL}?org={cast.acme.org.pk}"), bad


@pytest.mark.parametrize("few", [100, 0])
def test_what_transcripts_find_is_what_is_taken_away(
    few: int, cast: Cast, acme: Furnished, globex: Furnished, as_: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rare words are known beforehand, and for common ones each page of conversations is looked through.
    monkeypatch.setattr(search, "FEW", few)
    monkeypatch.setattr(reading, "PAGE", 2)
    rows = add_many(cast, 5)
    for row in rows[:3]:
        Message.objects.filter(conversation=row, author="visitor").update(text="Where is my refund?")
    Conversation.objects.filter(pk__in=[row.pk for row in rows[1:]]).update(rating="down")
    browser = as_(cast.ana)

    asked = {"q": "refund", "rating": "down", "org": cast.acme.org.pk}
    listed = browser.get("/transcripts/", asked).content.decode()
    assert f"{URL}?org={cast.acme.org.pk}&amp;q=refund&amp;rating=down" in listed
    page = browser.get(URL, asked).content.decode()
    assert 'name="q" value="refund"' in page and "Take away: Rating: not helpful" in page
    found = table(browser.get(FILE, {"what": "conversations", **asked}))
    assert {row["conversation_id"] for row in found} == {str(row.pk) for row in rows[1:3]}
    assert len(table(browser.get(FILE, {"what": "messages", **asked}))) == 4
    told = AuditEntry.objects.filter(action="conversations.exported").first()
    assert told is not None and told.after == {"what": "conversations", "rating": "down", "words": "yes"}
    # Words that are none find nothing, and not everything.
    assert table(browser.get(FILE, {"what": "conversations", "q": "?!"})) == []

    out = io.StringIO()
    call_command("export", "--org", "acme", "--query", "rating=down&q=refund", stdout=out, stderr=io.StringIO())
    assert {row["conversation_id"] for row in csv.DictReader(io.StringIO(out.getvalue()[1:], newline=""))} == {
        str(row.pk) for row in rows[1:3]
    }


def test_beginning_and_end_are_in_the_audit_and_the_page_is_told_how_far_it_is(
    cast: Cast, acme: Furnished, as_: As
) -> None:
    wire.mark_back()
    browser, key = as_(cast.ana), "0123456789abcdef" * 2
    asked = {"what": "messages", "since": "2020-01-01", "key": key}
    assert browser.get(PROGRESS, {"key": key}).json()["state"] == "unknown"

    answer = browser.get(FILE, asked)
    begun = audited(cast.acme.org, "conversations.exported")
    assert (begun.actor, begun.address) == (cast.ana, "127.0.0.1")
    assert begun.after == {"what": "messages", "since": "2020-01-01"}
    text_of(answer)
    assert audited(cast.acme.org, "conversations.export_ended").after["rows"] == 2
    told = browser.get(PROGRESS, {"key": key}).json()
    assert (told["state"], told["done"]) == ("done", 2)
    # Nobody else's, whoever knows the key; and no other form of a key is written anywhere.
    assert as_(cast.gus).get(PROGRESS, {"key": key}).json()["state"] == "unknown"
    text_of(browser.get(FILE, {"what": "messages", "key": "*"}))
    assert progress.look(cast.acme.org.pk, "*") == progress.Progress()


def test_few_exports_are_under_way_at_once_and_one_that_is_left_gives_its_place_back(
    cast: Cast, acme: Furnished, as_: As
) -> None:
    browser = as_(cast.omar)
    held = [
        Export(kind=Kind.LINES, chosen=read_selection(cast.acme.org, {}), by=None) for _ in range(exporting.AT_ONCE)
    ]
    refused = browser.get(FILE, {"what": "messages"})
    assert refused.status_code == 302 and "Too many exports" in browser.get(refused["Location"]).content.decode()
    held[0].close()
    left = browser.get(FILE, {"what": "messages"})
    assert left.status_code == 200
    for close in left._resource_closers:  # what the server does when its client leaves before the first byte
        close()
    text_of(browser.get(FILE, {"what": "messages"}))
    for export in held:
        export.close()


def test_the_command_writes_the_same_file(cast: Cast, acme: Furnished, as_: As) -> None:
    out, err = io.StringIO(), io.StringIO()
    call_command("export", "--org", "acme", "--what", "messages", stdout=out, stderr=err)
    assert out.getvalue() == text_of(as_(cast.omar).get(FILE, {"what": "messages"}))
    assert "2 written" in err.getvalue()
    for wrong in (["--org", "nobody"], ["--org", "acme", "--since", "x"], ["--org", "acme", "--agent", nobody()]):
        with pytest.raises(CommandError):
            call_command("export", *wrong, stdout=out, stderr=err)


def test_a_new_api_key_is_shown_once_and_revoked_for_good(cast: Cast, acme: Furnished, as_: As) -> None:
    browser = as_(cast.ada)
    add = reverse("admin:orgs_apikey_add")
    assert browser.post(add, {"label": "BI", "scopes": []}).status_code == 200  # the form again
    assert "Select a valid choice" in browser.post(add, {"label": "BI", "scopes": ["secrets"]}).content.decode()
    shown = browser.post(add, {"label": "BI", "scopes": ["tickets", "messages"]})
    page = shown.content.decode()
    plain = page.split('value="halo_read_')[1].split('"')[0]
    assert len(plain) > 40 and "no-store" in shown["Cache-Control"]
    key = audited(cast.acme.org, "api_key.created")
    assert key.after == {"label": "BI", "scopes": ["messages", "tickets"], "hint": plain[-4:]}
    for url in (reverse("admin:orgs_apikey_changelist"), reverse("admin:orgs_apikey_change", args=[key.target_id])):
        later = browser.get(url).content.decode()
        assert plain not in later and "Messages, Tickets" in later and "Never" in later

    change = reverse("admin:orgs_apikey_change", args=[key.target_id])
    assert browser.post(change, {"label": "Warehouse", "scopes": ["conversations"]}).status_code == 302
    assert audited(cast.acme.org, "api_key.changed").after == {"label": "Warehouse"}
    browser.post(reverse("admin:orgs_apikey_revoke", args=[key.target_id]))
    read = Client().get("/api/v1/tickets", headers={"Authorization": f"Bearer halo_read_{plain}"})
    assert read.status_code == 401
