"""Transcripts: what staff are shown of visitors' and models' text, and that reading leaves a trace."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations.models import Conversation, Message, MessageImage
from halo.markdown import render
from orgs.models import AuditEntry, User
from tests.admin.furnished import PNG, Furnished, add_conversation, audited
from tests.cast import Cast

# The session of the request, its user, their memberships; page or count; the rest is what the page shows.
MOST_QUERIES = 20


def test_a_transcript_shows_messages_facts_tools_citations_and_tickets_but_no_session_id(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    page = as_(cast.ana).get(acme.url("conversations.conversation")).content.decode()
    for shown in (
        "Acme question 1",
        "<strong>Acme answer</strong> 1",
        "confidence 42 %",
        "best_similarity",
        "verified",
        "version 1",
        "model_timeout",
        "Tool: search_knowledge",
        "Guide",
        "help.example",
        "Open it.",
        "Acme trouble",
    ):
        assert shown in page, shown
    conversation = acme.rows["conversations.conversation"]
    assert conversation.session.session_id not in page
    turn = reverse("admin:conversations_conversation_turn", args=[conversation.pk, acme.turn.pk])
    assert "Acme prompt" in as_(cast.ana).get(turn).content.decode()


def test_no_page_shows_a_session_id(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    bearer = acme.rows["conversations.conversation"].session.session_id
    browser = as_(cast.root)
    for label in acme.rows:
        app, model = label.split(".")
        for url in (reverse(f"admin:{app}_{model}_changelist"), acme.url(label)):
            assert bearer not in browser.get(url).content.decode(), label


def test_reading_a_transcript_is_audited_once_a_request_also_for_superusers(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    conversation = acme.rows["conversations.conversation"]
    for person in (cast.ana, cast.root):
        as_(person).get(acme.url("conversations.conversation"))
        rows = AuditEntry.objects.filter(action="transcript.read", actor=person)
        entry = rows.get()
        assert (entry.org, entry.target_id, entry.address) == (cast.acme.org, str(conversation.pk), "127.0.0.1")


def test_what_superusers_read_elsewhere_is_audited_and_what_members_read_is_not(
    cast: Cast, acme: Furnished, globex: Furnished, as_: Callable[[User], Client]
) -> None:
    for person in (cast.root, cast.sue):
        as_(person).get(acme.url("chat_sessions.enduser"))
        as_(person).get(reverse("admin:chat_sessions_enduser_changelist"))
    assert not AuditEntry.objects.filter(actor=cast.sue).exists()
    read = AuditEntry.objects.filter(actor=cast.root, action="operator.read")
    assert sorted(str(entry.org) for entry in read) == ["Acme", "Acme", "Globex"]
    assert audited(cast.acme.org, "operator.read").after["page"] == "chat_sessions.enduser"


def test_visitors_text_and_models_html_are_text(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    nasty = '<script>alert(1)</script> <b x-data="alert(1)">hi</b>'
    Message.objects.filter(org=cast.acme.org).update(text=nasty)
    page = as_(cast.sue).get(acme.url("conversations.conversation")).content.decode()
    assert nasty not in page and "<script>alert" not in page and "<b x-data" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    listed = as_(cast.sue).get(reverse("admin:conversations_conversation_changelist")).content.decode()
    assert "<script>alert" not in listed


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**bold**", "<strong>bold</strong>"),
        ("[guide](https://help.example/a)", 'rel="noopener noreferrer">guide</a> (help.example)'),
        ("| a |\n|---|\n| 1 |", "<td>1</td>"),
        ("a\nb", "a<br>"),
    ],
)
def test_an_agent_s_markdown_is_rendered(text: str, html: str) -> None:
    assert html in render(text)


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "![x](https://evil.example/pixel.png)",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,AAAA)",
        "[x](vbscript:x)",
        "<a href='x' x-on:click='alert(1)'>y</a>",
        '[x](https://a.example "onmouseover=alert(1)")',
        "<svg onload=alert(1)>",
        "&#60;script&#62;alert(1)",
        "`<script>`",
        "[x]: javascript:alert(1)\n[x]",
        '<https://ok.example/" onclick=alert(1)>',
    ],
)
def test_nothing_else_survives_in_an_agent_s_markdown(text: str) -> None:
    found: list[tuple[str, str]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag in {"p", "a", "br", "code"}, tag
            found.extend((name, value or "") for name, value in attrs)

    Reader().feed(render(text))
    for name, value in found:
        assert name in {"href", "rel"}, name
        assert name != "href" or value.startswith("https://"), value


def test_hostile_markdown_is_rendered_in_time() -> None:
    for text in ("[" * 20_000, "*a" * 10_000, "> " * 10_000, "`" * 20_000, "|" * 20_000, "<" * 20_000, "![" * 10_000):
        render(text)


def test_an_image_is_served_as_what_its_bytes_were_and_can_do_nothing(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    conversation = acme.rows["conversations.conversation"]
    url = reverse("admin:conversations_conversation_image", args=[conversation.pk, acme.image.pk])
    answer = as_(cast.ana).get(url)
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, PNG, "image/png")
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert url in as_(cast.ana).get(acme.url("conversations.conversation")).content.decode()
    MessageImage.objects.filter(pk=acme.image.pk).update(media_type="text/html")
    assert as_(cast.ana).get(url).status_code == 404


def test_an_image_elsewhere_is_named_and_not_fetched(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    MessageImage.objects.filter(pk=acme.image.pk).update(url="https://evil.example/pixel.png", data=None)
    page = as_(cast.ana).get(acme.url("conversations.conversation")).content.decode()
    assert "https://evil.example/pixel.png" in page
    assert 'src="https://evil' not in page and 'href="https://evil' not in page


def test_a_supporter_takes_over_hands_back_and_closes(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser, conversation = as_(cast.sue), acme.rows["conversations.conversation"]
    browser.post(acme.url("conversations.conversation", "take_over"))
    conversation.refresh_from_db()
    assert conversation.taken_over_by == cast.sue
    entry = audited(cast.acme.org, "conversation.take_over")
    assert (entry.actor, entry.address) == (cast.sue, "127.0.0.1")
    browser.post(acme.url("conversations.conversation", "hand_back"))
    conversation.refresh_from_db()
    assert conversation.taken_over_by is None
    browser.post(acme.url("conversations.conversation", "close"))
    conversation.refresh_from_db()
    assert conversation.status == Conversation.Status.CLOSED
    assert browser.get(acme.url("conversations.conversation", "take_over")).status_code == 302  # not any more


def test_a_long_transcript_is_read_page_by_page(cast: Cast, acme: Furnished, as_: Callable[[User], Client]) -> None:
    long = add_conversation(cast.acme, None, turns=70)
    url = reverse("admin:conversations_conversation_change", args=[long.pk])
    page = as_(cast.ana).get(url).content.decode()
    assert "Acme question 70" in page and "Acme question 20<" not in page
    assert "?before=21" in page
    earlier = as_(cast.ana).get(url, {"before": "21"}).content.decode()
    assert "Acme question 20<" in earlier and "Acme question 21<" not in earlier and "Earlier messages" not in earlier


def test_no_page_takes_more_than_twenty_queries_and_twenty_rows_cost_what_two_do(
    cast: Cast, acme: Furnished, globex: Furnished, as_: Callable[[User], Client]
) -> None:
    def counts() -> dict[str, int]:
        found = {}
        for who, person in (("omar", cast.omar), ("root", cast.root)):
            browser = as_(person)
            for label in acme.rows:
                app, model = label.split(".")
                lists = reverse(f"admin:{app}_{model}_changelist")
                for name, url in (("list", lists), ("page", acme.url(label)), ("found", f"{lists}?q=acme")):
                    with CaptureQueriesContext(connection) as queries:
                        assert browser.get(url).status_code == 200
                    found[f"{who} {label} {name}"] = len(queries)
        return found

    few = counts()
    for number in range(10):
        add_conversation(cast.acme, acme.rows["chat_sessions.enduser"])
        acme.rows["orgs.team"].members.add(User.objects.create_user(f"m{number}@acme.example"))
    many = counts()
    assert {page: count for page, count in many.items() if count > MOST_QUERIES} == {}
    assert {page: (few[page], many[page]) for page in few if many[page] > few[page]} == {}
