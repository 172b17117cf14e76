"""The page that tells how an answer came about: who reads it, what it shows, and that nothing on it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents import confidence
from conversations.admin import trace_parts
from conversations.models import AnswerLabel, Conversation, Message, ToolCall, Turn, TurnTrace
from halo.ids import uuid7
from orgs.models import User
from tests.admin.furnished import Furnished, audited
from tests.cast import Cast

# 2 session and user · 1 memberships · 1 conversation · 1 turn with organisation, agent, rule · 1 known secrets
# 1 trace · 1 messages · 1 tool calls · 1 labels · 1 audit; and what the frame of the page asks.
MOST_QUERIES = 13
NASTY = '<script>alert("x")</script>'
As = Callable[[User], Client]


def url(acme: Furnished, page: str = "turn") -> str:
    conversation = acme.rows["conversations.conversation"]
    return reverse(f"admin:conversations_conversation_{page}", args=[conversation.pk, acme.turn.pk])


def told(acme: Furnished, text: str = "plain", quote: str = "Open Settings.") -> None:
    """A trace in which `text` stands wherever there is text."""
    turn = acme.turn
    Turn.objects.filter(pk=turn.pk).update(
        answer_type="answerable",
        model_name=text,
        prompt_tokens=1234,
        completion_tokens=56,
        cost=Decimal("0.001230"),
        error_detail=text,
        request_id=text,
        snapshot={"page": text, "traits": {text: text}},
        explanation={"result": text, "signs": [{"sign": text, "reason": text}], text: text},
        confidence_inputs={"head": confidence.head_version(), "word_support": 0.5, "unknown_facts": 9.0, text: text},
    )
    Message.objects.filter(turn=turn).update(text=text)
    Message.objects.filter(turn=turn, part=1).update(
        text=f"Answer: {text} [1]", citations=[{"n": 1, "title": text, "url": text, "quote": quote}]
    )
    ToolCall.objects.filter(turn=turn).update(
        name=text, said=text, arguments=text, result=json.dumps({text: text}), status="done", effect_key=text
    )
    TurnTrace.objects.filter(turn=turn).update(
        prompt=[
            {"role": "system", "content": f"Rules.\n\n# {text}\nDo.\n\n[Knowledge]\n{text}"},
            {
                "role": text,
                "content": [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": text}}],
            },
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": text, "arguments": text}}]},
        ],
        passages=[{"n": 1, "title": text, "url": text, "score": 0.61, "lead": 0.2, "text": f"{text} {quote} {text}"}],
        timings={
            "phases": [
                {"what": "search", "at_ms": 0, "ms": 20},
                {"what": text, "at_ms": 20, "ms": 5, "names": [text], "round": text},
                {"what": "model", "at_ms": 25, "ms": 900, "round": 1, "first_text_ms": 300},
            ],
            "total_ms": 930,
        },
        model_calls=[
            {"attempt": 1, "round": 1, "ms": 5, "error": text, "retries": [{"error": text, "pause_ms": 250}]},
            {
                "attempt": 2,
                "round": text,
                "ms": 900,
                "model": text,
                "said": f"Answer: {text} [1] Made up.",
                "tools": [],
            },
        ],
    )
    AnswerLabel.objects.create(org=turn.org, turn=turn, verdict="right", by="visitor", comment=text)


def test_an_analyst_reads_all_of_it_on_one_page(cast: Cast, acme: Furnished, as_: As) -> None:
    told(acme)
    Turn.objects.filter(pk=acme.turn.pk).update(attempt=2)
    page = as_(cast.ana).get(url(acme)).content.decode()
    for shown in (
        "answered from what is known",
        "confidence 42 %",
        "1,234 read, 56 written",
        "USD 0.00123",
        "Attempt 1, round 1",
        "tried again after 250 ms",
        "Model, round 1",
        "first words after 300 ms",
        "<del>Made up.</del>",
        "<mark>Open Settings.</mark>",
        "similarity 0.61",
        "Sentences that the passages hardly support",
        "9 (capped)",
        "[Image: plain]",
        "The visitor&#x27;s thumb",
    ):
        assert shown in page, shown
    assert audited(cast.acme.org, "trace.read").target_id == str(acme.turn.pk)


def test_the_transcript_and_the_list_say_what_kind_of_answer_it_was(cast: Cast, acme: Furnished, as_: As) -> None:
    told(acme)
    Turn.objects.filter(pk=acme.turn.pk).update(withheld=True)
    transcript = as_(cast.ana).get(acme.url("conversations.conversation")).content.decode()
    for shown in ("answered from what is known", "withheld", "1,234 read, 56 written", "USD 0.00123", url(acme)):
        assert shown in transcript, shown
    Conversation.objects.filter(org=cast.acme.org).update(answer_type="needs_fact")
    lists = reverse("admin:conversations_conversation_changelist")

    def listed(kind: str) -> str:
        return as_(cast.ana).get(lists, {"answer_type": kind}).content.decode()

    row = acme.url("conversations.conversation")
    assert "Needs one fact" in listed("needs_fact") and row in listed("needs_fact")
    assert row not in listed("ambiguous") and row not in listed("nonsense")


def test_a_price_that_is_not_known_is_not_made_up(cast: Cast, acme: Furnished, as_: As) -> None:
    told(acme)
    Turn.objects.filter(pk=acme.turn.pk).update(cost=None)
    assert "not known" in as_(cast.ana).get(url(acme)).content.decode()
    assert "no price is known" in as_(cast.ana).get(acme.url("conversations.conversation")).content.decode()


@pytest.mark.parametrize("who", ["omar", "ada", "sue", "ana", "root"])
def test_everybody_who_reads_transcripts_reads_traces_and_who_may_export_takes_them_away(
    cast: Cast, acme: Furnished, as_: As, who: str
) -> None:
    told(acme)
    browser = as_(getattr(cast, who))
    page = browser.get(url(acme))
    assert page.status_code == 200
    answer = browser.get(url(acme, "turn_json"))
    if who == "sue":
        assert answer.status_code == 403 and "Download as JSON" not in page.content.decode()
        return
    assert "Download as JSON" in page.content.decode()
    assert answer["Content-Disposition"].startswith("attachment") and answer["Content-Type"] == "application/json"
    body = answer.json()
    assert (body["cost"], body["currency"], body["trace"]["passages"][0]["score"]) == ("0.001230", "USD", 0.61)
    assert audited(cast.acme.org, "trace.exported").target_id == str(acme.turn.pk)


def test_a_stranger_gets_nothing_and_a_turn_belongs_to_its_conversation(
    cast: Cast, acme: Furnished, globex: Furnished, as_: As
) -> None:
    for page in ("turn", "turn_json"):
        assert as_(cast.gus).get(url(acme, page)).status_code == 404
        mixed = [globex.rows["conversations.conversation"].pk, acme.turn.pk]
        name = f"admin:conversations_conversation_{page}"
        assert as_(cast.gus).get(reverse(name, args=mixed)).status_code == 404
        assert as_(cast.root).get(reverse(name, args=mixed)).status_code == 404
        assert as_(cast.gus).get(url(globex, page)).status_code == 200


def test_nothing_that_others_wrote_runs(cast: Cast, acme: Furnished, as_: As) -> None:
    told(acme, NASTY, quote=NASTY)
    Turn.objects.filter(pk=acme.turn.pk).update(attempt=2)
    page = as_(cast.ana).get(url(acme)).content.decode()
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") >= 25
    assert 'href="<' not in page and 'href="&lt;' not in page


def test_secrets_in_old_traces_and_in_tool_calls_are_not_shown(cast: Cast, acme: Furnished, as_: As) -> None:
    secret = cast.acme.secret_plain
    told(acme, f"it is {secret}")
    for page in ("turn", "turn_json"):
        assert secret not in as_(cast.ana).get(url(acme, page)).content.decode()


@pytest.mark.parametrize("change", ["as furnished", "none", "nonsense"])
def test_traces_that_are_old_missing_or_odd_are_shown(cast: Cast, acme: Furnished, as_: As, change: str) -> None:
    traces = TurnTrace.objects.filter(turn=acme.turn)
    if change == "none":
        traces.delete()
    elif change == "nonsense":
        traces.update(prompt={"a": 1}, passages="x", model_calls=[1, {"said": 5, "ms": "x"}], timings=[])
    else:
        traces.update(timings={"search_ms": 20.5, "model_ms": 800, "total_ms": 830})
    page = as_(cast.ana).get(url(acme)).content.decode()
    assert ("Search" in page and "Acme prompt" in page) == (change == "as furnished")
    assert ("90 days" in page) == (change == "none")
    assert as_(cast.ana).get(url(acme, "turn_json")).status_code == 200


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"outcome": "routed"}, "A routing rule"),
        ({"outcome": "human"}, "A teammate had taken over"),
        ({"status": "failed", "claimed_at": None}, "No process came"),
    ],
)
def test_where_no_model_was_asked_it_says_why(
    cast: Cast, acme: Furnished, as_: As, fields: dict[str, Any], why: str
) -> None:
    TurnTrace.objects.all().delete()
    Turn.objects.filter(pk=acme.turn.pk).update(**fields)
    assert why in as_(cast.ana).get(url(acme)).content.decode()


def test_what_one_reply_answers_together_is_told_on_the_transcript_and_on_each_trace(
    cast: Cast, acme: Furnished, as_: As
) -> None:
    first, conversation = acme.turn, acme.turn.conversation
    words = ["My invoice is wrong", "It is number 12"]
    for seq, text in enumerate(words, first.seq + 1):
        turn = Turn.objects.get(pk=first.pk)
        turn.pk, turn.seq, turn.merged_into, turn.confidence = uuid7(), seq, first, None
        turn.save(force_insert=True)
        values = {"org": first.org, "conversation": conversation, "turn": turn, "seq": seq, "author": "visitor"}
        Message.objects.create(**values, text=text)
    Turn.objects.filter(pk=first.pk).update(covers_to=first.seq + 2)
    Message.objects.filter(turn=first, part=1).update(seq=first.seq + 2, text="I have corrected it.")
    browser = as_(cast.ana)

    transcript = browser.get(acme.url("conversations.conversation")).content.decode()
    for said in ("one reply to 3 messages", "answered together with the message before", "with the 2 messages before"):
        assert said in transcript
    assert transcript.index(words[1]) < transcript.index("I have corrected it.")
    covering = browser.get(url(acme)).content.decode()
    assert all(text in covering for text in words) and "one reply to 3 messages" in covering
    merged = browser.get(reverse("admin:conversations_conversation_turn", args=[conversation.pk, turn.pk]))
    page = merged.content.decode()
    assert words[1] in page and words[0] not in page and "I have corrected it." in page
    assert "the trace is with that" in page and url(acme) in page


def test_a_trace_takes_few_queries_however_much_there_is(cast: Cast, acme: Furnished, as_: As) -> None:
    told(acme)
    calls = [ToolCall(org=acme.turn.org, turn=acme.turn, step=step, round=step, name="x") for step in range(1, 30)]
    ToolCall.objects.bulk_create(calls)
    browser = as_(cast.ana)
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(url(acme)).status_code == 200
    assert len(queries) <= MOST_QUERIES, [query["sql"][:90] for query in queries]


def test_what_was_sent_is_told_from_what_was_said() -> None:
    assert trace_parts.difference("Same.", " Same. ") is None
    found = trace_parts.difference("Yes. It costs <b>5</b>.\n[type]: answerable", "Yes. Ask us.")
    assert found == "Yes. <del>It costs &lt;b&gt;5&lt;/b&gt;.\n[type]: answerable</del><ins>Ask us.</ins>"
    assert trace_parts.difference("a. " * 2000, "b. " * 2000) is None


def test_contributions_add_up_to_the_confidence() -> None:
    values = {"head": confidence.head_version(), "word_support": 0.8, "pair_support": 0.4, "citations": 5.0}
    shares = trace_parts.shares(values)
    assert shares is not None
    again = confidence.Head(shares.total, {}).probability({})
    assert again == pytest.approx(confidence.estimate(values), abs=0.0005)
    old = trace_parts.shares({**values, "head": "an older one"})
    assert old is not None and old.terms == [] and ("citations", 5.0) in old.others
