"""The pages of numbers: how conversations ended, gaps, articles, versions, the team; to whom, and as CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.knowledge.models import Article, Source
from conversations.analytics import bars, counting, gaps
from conversations.analytics.counting import whole_hour
from conversations.analytics.days import count_days
from conversations.analytics.period import read_asked
from conversations.analytics.resolution import resolution
from conversations.models import AnswerLabel, Conversation, DayConversations, Message, Ticket, Turn, UnansweredQuestion
from orgs.models import User
from sessions.models import ChatSession, EndUser
from tests.admin.furnished import audited, nobody
from tests.cast import Cast, House

NOW = whole_hour(timezone.now()) + dt.timedelta(minutes=30)
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
THEN = (NOW - DAY * 6).replace(hour=12)
PAGES = (
    "/analytics/",
    "/analytics/gaps/",
    "/analytics/articles/",
    "/analytics/agents/",
    "/analytics/confidence/",
    "/analytics/team/",
)
TABLES = ("days", "resolution", "gaps", "articles", "agents", "confidence", "team")


def talk(
    house: House, at: dt.datetime = THEN, *, person: EndUser | None = None, question: str = "", **columns: Any
) -> Conversation:
    """A conversation of one message and its answer at that time."""
    org = house.org
    session = ChatSession.objects.create(org=org, end_user=person, started_at=at)
    values: dict[str, Any] = {"outcome": "answered", "answer_type": "answerable", **columns}
    made: Conversation = Conversation.objects.create(
        org=org, session=session, agent=house.agent, created_at=at, last_message_at=at, **values
    )
    turn = Turn.objects.create(
        org=org, conversation=made, seq=1, agent_version=house.agent.current_version, accepted_at=at, answer_by=at,
        finished_at=at + dt.timedelta(seconds=2), status="done", outcome="answered", response={},
        answer_type=values["answer_type"], confidence=0.5, cost=1,
    )  # fmt: skip
    for part, author, text in ((0, "visitor", question or "How?"), (1, "agent", "So.")):
        cites = [{"n": 1, "article_id": "doc_1"}] if part and values["answer_type"] == "answerable" else []
        Message.objects.create(
            org=org,
            conversation=made,
            turn=turn,
            seq=1,
            part=part,
            author=author,
            text=text,
            created_at=at,
            citations=cites,
        )
    return made


def endings(house: House, now: dt.datetime = NOW) -> dict[str, int]:
    count_days(org=house.org, now=now)
    asked = read_asked(house.org, {"period": "30"}, now=now)  # type: ignore[arg-type]
    return {ending.key: ending.count for ending in resolution(asked).endings if ending.count}


def test_each_conversation_ended_in_one_way_and_silence_is_only_assumed(cast: Cast) -> None:
    talk(cast.acme)
    talk(cast.acme, rating="up")
    talk(cast.acme, rating="down")
    talk(cast.acme, outcome="escalated", rating="up")  # people were called: not the agent's
    talk(cast.acme, outcome="failed")
    talk(cast.acme, answer_type="needs_fact")
    talk(cast.acme, answer_type="not_in_knowledge", rating="up")
    talk(cast.globex)
    assert endings(cast.acme) == {
        "assumed": 1, "confirmed": 1, "denied": 1, "handed_over": 1, "failed": 1, "abandoned": 2,
    }  # fmt: skip
    asked = read_asked(cast.acme.org, {}, now=NOW)  # type: ignore[arg-type]
    told = resolution(asked)
    assert told.confirmed and told.at_most and told.conversations == 7
    assert told.confirmed.value == pytest.approx(1 / 7) and told.at_most.value == pytest.approx(2 / 7)
    assert told.confirmed.low == pytest.approx(0.0257, abs=0.001) and told.confirmed.high == pytest.approx(
        0.513, abs=0.001
    )


def test_whoever_comes_back_within_three_days_was_not_helped_however_it_looked(cast: Cast) -> None:
    person, other = (EndUser.objects.create(org=cast.acme.org, external_id=f"u-{n}") for n in (1, 2))
    talk(cast.acme, person=person, rating="up")
    talk(cast.acme, THEN + HOUR * 20, person=person)
    talk(cast.acme, THEN - DAY * 6, person=other)
    talk(cast.acme, THEN, person=other)  # six days later: another matter
    again = talk(cast.acme)
    Message.objects.create(
        org=again.org, conversation=again, seq=2, author="visitor", text="Still not", created_at=THEN + HOUR * 3
    )
    assert endings(cast.acme) == {"returned": 2, "assumed": 3}


def test_the_last_days_are_not_judged_and_a_conversation_that_goes_on_moves(cast: Cast) -> None:
    talk(cast.acme, NOW - DAY * 2)
    moving = talk(cast.acme, NOW - DAY * 9)
    assert endings(cast.acme) == {"assumed": 1}
    Conversation.objects.filter(pk=moving.pk).update(last_message_at=NOW - DAY * 5)
    assert endings(cast.acme, NOW + DAY) == {"assumed": 1}
    assert DayConversations.objects.get(conversations=1).day == (NOW - DAY * 5).date()


def test_like_questions_come_together_with_the_one_most_like_the_others_first(cast: Cast) -> None:
    asked = ["How do I reset my password?", "I forgot my password, how can I reset it?", "reset password please",
             "Do you ship to Norway?", "Is shipping to Norway possible?", "What is the meaning of life?"]  # fmt: skip
    for n, question in enumerate(asked):
        talk(cast.acme, NOW - HOUR * (n + 2), question=question, answer_type="not_in_knowledge")
    talk(cast.acme, NOW - HOUR, question="Known?")
    talk(cast.globex, NOW - HOUR, question="Globex question", answer_type="not_in_knowledge")
    assert gaps.take_up(org=cast.acme.org, now=NOW) == 6 and gaps.take_up(org=cast.acme.org, now=NOW) == 0
    found, looked_at = gaps.gaps(cast.acme.org, since=NOW - DAY, until=NOW)
    assert looked_at == 6 and [gap.count for gap in found] == [3, 2, 1]
    assert "password" in found[0].title and "Norway" in found[1].title
    assert all("password" in example.text for example in found[0].examples)
    assert gaps.gaps(cast.acme.org, since=NOW - DAY, until=NOW, agent=cast.globex.agent.pk) == ([], 0)


def test_many_questions_are_grouped_in_a_moment() -> None:
    random = np.random.default_rng(1)
    middles = random.normal(size=(40, 384))
    rows = np.repeat(middles, 50, axis=0) + random.normal(size=(2000, 384)) * 0.4
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    groups = gaps.group(vectors)
    assert len(groups) == 40 and {len(members) for members in groups} == {50}
    assert len({member for members in groups for member in members}) == 2000
    assert gaps.group(np.zeros((2, 384), dtype=np.float32)) == [[0], [1]]


@pytest.mark.parametrize("person", ["omar", "ada", "sue", "ana", "root"])
def test_every_role_reads_the_pages_and_exporting_and_writing_follow_the_table(
    person: str, cast: Cast, as_: Callable[[User], Client]
) -> None:
    talk(cast.acme, NOW - HOUR * 2, question="<b>Why</b>?", answer_type="not_in_knowledge")
    counting.run(now=NOW)
    browser, org = as_(getattr(cast, person)), {"org": str(cast.acme.org.pk)}
    for page in PAGES:
        answer = browser.get(page, org)
        assert answer.status_code == 200, page
        assert "unsafe" not in answer["Content-Security-Policy"] and " style=" not in answer.content.decode(), page
        assert (b".csv" in answer.content) == (person != "sue"), page
        assert browser.post(page, org).status_code in (403, 405)
    shown = browser.get(PAGES[1], org).content.decode()
    assert "&lt;b&gt;Why&lt;/b&gt;?" in shown and ("Write an article" in shown) == (person != "ana")
    for table in TABLES:
        assert browser.get(f"/analytics/{table}.csv", org).status_code == (403 if person == "sue" else 200), table
    if person != "sue":
        assert audited(cast.acme.org, "numbers.exported").after["table"] == "team"
        assert browser.get("/analytics/secrets.csv", org).status_code == 404


def test_a_stranger_gets_the_404_of_the_unknown_and_nobody_the_login(cast: Cast, as_: Callable[[User], Client]) -> None:
    talk(cast.acme, question="Acme secret", answer_type="not_in_knowledge")
    counting.run(now=NOW)
    gus = as_(cast.gus)
    for page in [*PAGES, *(f"/analytics/{table}.csv" for table in TABLES)]:
        for query in ({"org": cast.acme.org.pk}, {"org": nobody()}, {"agent": cast.acme.agent.pk}, {"agent": nobody()}):
            assert gus.get(page, query).status_code == 404, (page, query)
        own = gus.get(page)
        text = b"".join(own.streaming_content) if own.streaming else own.content
        assert own.status_code == 200 and b"Acme" not in text, page
        assert Client().get(page).status_code == 302


def test_write_an_article_opens_the_form_with_the_question_as_its_title(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    talk(cast.acme, NOW - HOUR * 2, question="Do you & your team ship to Norway?", answer_type="not_in_knowledge")
    counting.run(now=NOW)
    browser = as_(cast.sue)
    page = browser.get(PAGES[1]).content.decode()
    link = page.split("/admin/agents/article/add/")[1].split('"')[0].replace("&amp;", "&")
    form = browser.get(f"/admin/agents/article/add/{link}").content.decode()
    assert 'value="Do you &amp; your team ship to Norway?"' in form


def test_pages_show_what_was_counted_and_cost_the_same_with_much_of_it(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    source = Source.objects.create(org=cast.acme.org, name="Guide")
    for number in (1, 2):
        Article.objects.create(
            org=cast.acme.org, source=source, external_id=f"doc_{number}", title=f"Guide {number}", content="x",
            created_at=NOW - DAY * 200,
        )  # fmt: skip
    team_ticket = {"org": cast.acme.org, "subject": "x", "message": "x", "created_at": THEN}
    Ticket.objects.create(number=1, status="resolved", assignee=cast.sue, **team_ticket)
    browser = as_(cast.omar)

    def costs() -> list[int]:
        counting.run(now=NOW)
        found = []
        for page in PAGES:
            with CaptureQueriesContext(connection) as asked:
                assert browser.get(page).status_code == 200
            found.append(len(asked))
        return found

    wrong = talk(cast.acme)
    AnswerLabel.objects.create(org=cast.acme.org, turn=wrong.turns.get(), verdict="wrong", by="visitor")
    few = costs()
    for n in range(12):
        talk(
            cast.acme,
            THEN + HOUR * n,
            question=f"Other {n}?",
            answer_type="not_in_knowledge" if n % 2 else "answerable",
        )
        Ticket.objects.create(number=2 + n, **team_ticket)
    many = costs()
    # Of gaps, once there are some: their wordings twice, and their conversations.
    assert max(many) <= 20 and [a - b for a, b in zip(many, few, strict=True)] == [0, 2, 0, 0, 0, 0], (few, many)
    overview, _, articles, agents, confidence, team = (browser.get(page).content.decode() for page in PAGES)
    assert "How conversations ended" in overview and 'role="img"' in overview
    assert "Guide 1" in articles.split("nobody needed")[0] and "Guide 2" in articles.split("nobody needed")[1]
    assert "Too few judged answers" in confidence and 'role="img"' not in confidence
    assert "Acme assistant" in agents and "Sue" in team and "Nobody yet" in team
    rows = list(
        csv.reader(io.StringIO(b"".join(browser.get("/analytics/articles.csv").streaming_content).decode("utf-8-sig")))
    )
    assert rows[1] == ["Guide 1", "Guide", "7", "1", "1"]


def test_confidence_is_shown_against_what_came_true_and_counts_as_csv(
    cast: Cast, as_: Callable[[User], Client]
) -> None:
    for n in range(40):
        said = talk(cast.acme, NOW - DAY * 2 - HOUR * n)
        AnswerLabel.objects.create(
            org=cast.acme.org, turn=said.turns.get(), verdict="wrong" if n % 4 == 0 else "right", by="teammate"
        )
    browser = as_(cast.ana)
    page = browser.get("/analytics/confidence/").content.decode()
    assert 'role="img"' in page and "Share right" in page and ">75 %<" in page.replace("\n", "")
    assert f'href="/admin/analytics/confidence/?org={cast.acme.org.pk}' in page
    text = b"".join(browser.get("/analytics/confidence.csv").streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sum(int(row["answers"]) for row in rows) == 40 and sum(int(row["right"]) for row in rows) == 30
    assert {float(row["confidence_mean"]) for row in rows} == {0.5}


def test_bars_stand_on_each_other_and_the_scale_reads_well() -> None:
    days = [dt.date(2026, 1, 1) + DAY * n for n in range(3)]
    made = bars.stacked(days, [("answered", "Answered", [5, 0, 90]), ("failed", "No reply", [5, 0, 30])])
    first, none, last = made.bars
    assert made.lines[-1][1] == "120" and none.pieces == () and none.says == "2 January: nothing"
    assert first.pieces[0].height == first.pieces[1].height
    assert last.pieces[1].y == bars.TOP and last.pieces[0].y == pytest.approx(last.pieces[1].y + last.pieces[1].height)
    assert last.says == "3 January: 90 answered, 30 no reply"


def test_questions_go_with_their_turns(cast: Cast) -> None:
    made = talk(cast.acme, answer_type="not_in_knowledge")
    gaps.take_up(org=cast.acme.org, now=NOW)
    assert UnansweredQuestion.objects.count() == 1
    made.messages.all().delete()
    made.turns.all().delete()
    assert not UnansweredQuestion.objects.exists()
