"""Answers by quotation: verbatim, with sources, honest about what it is and about what it does not know."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.answer_types import split_declared
from agents.llm.base import Excerpt, ModelReply, ModelRequest, ToolSpec
from agents.llm.extractive import ABOUT, ExtractiveBackend

ESCALATE = ToolSpec("escalate", "Asks for a person.", {"type": "object"})
PASSWORD = """## Resetting a password

Everybody can set a new password without help.

To reset your password:

1. Open Settings > Security.
2. Choose "Reset password" and follow the link in the e-mail.

## Changing your name

Write to us; names are changed by hand."""
PASSAGES = st.text(alphabet="ab#>|-1.!?:\"' \n\t\r\u2028é", max_size=900)
INVOICES = "Invoices are sent on the first of each month. You can download old invoices under Billing."


def excerpt(n: int = 1, text: str = PASSWORD, score: float = 0.7, title: str = "Passwords") -> Excerpt:
    return Excerpt(n=n, title=title, text=text, url=f"https://docs.example/{n}", score=score, article_id=f"doc_{n}")


def answer(
    question: str,
    *excerpts: Excerpt,
    tools: list[ToolSpec] | None = None,
    after: list[dict[str, Any]] | None = None,
) -> ModelReply:
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}, *(after or [])]
    tools = [ESCALATE] if tools is None else tools
    request = ModelRequest(messages=messages, tools=tools, question=question, excerpts=list(excerpts))
    return ExtractiveBackend().stream(request, deadline=0)


def citations(text: str) -> dict[int, str]:
    return {int(n): quote for n, quote in re.findall(r'^\[(\d+)\]: "(.*)"$', text, re.MULTILINE)}


def test_the_passage_that_answers_is_quoted_with_its_source() -> None:
    reply = answer("How do I reset my password?", excerpt())
    assert "> To reset your password:\n>\n> 1. Open Settings > Security.\n" in reply.text
    assert "Passwords [1]" in reply.text
    assert "names are changed by hand" not in reply.text
    assert (reply.tool_requests, reply.finish_reason, reply.model) == ([], "stop", "extractive")


def test_it_says_that_it_quotes() -> None:
    assert answer("How do I reset my password?", excerpt()).text.startswith("I answer with quotes")


def test_the_answer_ends_with_one_verbatim_citation_for_each_source() -> None:
    reply = answer("Where can I download invoices?", excerpt(3, INVOICES, 0.6, "Billing"), excerpt(1, PASSWORD, 0.58))
    *_, block = split_declared(reply.text)[0].split("\n\n")
    cited = citations(block)
    assert list(cited) == [3, 1]
    assert cited[3] == "You can download old invoices under Billing."
    assert cited[1] in PASSWORD
    assert len(block.splitlines()) == 2


def test_a_passage_that_fits_much_worse_is_left_out() -> None:
    assert list(citations(answer("Old invoices?", excerpt(1, INVOICES, 0.7), excerpt(2, PASSWORD, 0.5)).text)) == [1]


def test_the_same_passage_is_not_quoted_twice() -> None:
    assert list(citations(answer("Old invoices?", excerpt(1, INVOICES), excerpt(2, INVOICES)).text)) == [1]


def test_a_long_passage_is_cut_between_sentences() -> None:
    text = (
        "".join(f"Filler number {n} says nothing. " for n in range(60)) + "Invoices are blue. " + "More filler. " * 99
    )
    reply = answer("Which colour do invoices have?", excerpt(1, text))
    assert "> Invoices are blue." in reply.text
    assert len(reply.text) < 1500


def test_a_title_cannot_break_out_of_its_place() -> None:
    reply = answer("Old invoices?", excerpt(1, INVOICES, title="[x](javascript:alert(1))\n# *Big*"))
    assert r"\[x\](javascript:alert(1)) \# \*Big\* [1]" in reply.text


@pytest.mark.parametrize("score", [0.0, 0.2, 0.34])
def test_where_nothing_fits_it_says_so_and_asks_for_a_person(score: float) -> None:
    reply = answer("How do I bake bread?", excerpt(score=score))
    [request] = reply.tool_requests
    assert request.name == "escalate"
    assert json.loads(request.arguments).keys() == {"reason"}
    assert reply.finish_reason == "tool_calls"
    assert "nothing in our help articles" in reply.text
    assert citations(reply.text) == {}


def test_a_middling_passage_without_a_word_in_common_does_not_fit() -> None:
    assert answer("How do I bake bread?", excerpt(score=0.45)).tool_requests
    assert not answer("How do I choose a password?", excerpt(score=0.45)).tool_requests


def test_a_passage_in_other_words_fits_where_it_is_very_near() -> None:
    assert not answer("I forgot my login secret", excerpt(score=0.6)).tool_requests


def test_without_the_tool_it_only_says_so() -> None:
    reply = answer("How do I bake bread?", tools=[])
    assert (reply.tool_requests, reply.finish_reason) == ([], "stop")
    assert "nothing in our help articles" in reply.text


def escalated(result: str | None) -> list[dict[str, Any]]:
    call = {"id": "call_escalate", "type": "function", "function": {"name": "escalate", "arguments": "{}"}}
    asked: list[dict[str, Any]] = [{"role": "assistant", "content": "Hm.", "tool_calls": [call]}]
    if result is not None:
        asked.append({"role": "tool", "tool_call_id": "call_escalate", "content": result})
    return asked


def test_a_person_is_asked_for_once() -> None:
    reply = answer("How do I bake bread?", after=escalated("done"))
    assert (reply.tool_requests, reply.finish_reason) == ([], "stop")
    assert "asked for a person" in reply.text


def test_an_escalation_of_an_earlier_turn_does_not_count() -> None:
    after = [*escalated("done"), {"role": "user", "content": "And how do I brew beer?"}]
    assert answer("And how do I brew beer?", after=after).tool_requests


@pytest.mark.parametrize(
    "question",
    [
        "I want to talk to a human",
        "Can I speak with someone?",
        "connect me to an agent",
        "Human please!",
        "I need a real person",
    ],
)
def test_a_visitor_who_wants_a_person_gets_one(question: str) -> None:
    assert answer(question, excerpt()).tool_requests[0].name == "escalate"


@pytest.mark.parametrize("question", ["How do visitors talk to a person?", "Where do I connect an agent to a model?"])
def test_a_question_about_people_is_a_question(question: str) -> None:
    about = excerpt(1, "Visitors talk to a person by asking the agent, which connects them.", 0.6)
    assert answer(question, about).tool_requests == []


@pytest.mark.parametrize(
    "question",
    ["Hi", "hello there!", "Good morning", "Thanks a lot for your help!", "ok great", "Bye, see you", "???", "👍"],
)
def test_small_talk_gets_a_short_reply_and_no_hand_over(question: str) -> None:
    reply = answer(question, excerpt(score=0.9))
    assert reply.tool_requests == []
    assert len(reply.text) < 150
    assert ">" not in reply.text


def test_a_greeting_with_a_question_is_a_question() -> None:
    assert citations(answer("Hi, how do I reset my password?", excerpt()).text)


def test_it_tells_what_it_is() -> None:
    assert split_declared(answer("Are you a robot?").text) == (ABOUT, "answerable")


def test_the_text_is_passed_on() -> None:
    pieces: list[str] = []
    request = ModelRequest(messages=[], tools=[], question="hi", excerpts=[])
    assert ExtractiveBackend().stream(request, deadline=0, on_text=pieces.append).text == "".join(pieces)


def test_the_threshold_is_an_option() -> None:
    request = ModelRequest(messages=[], tools=[], question="Reset my password", excerpts=[excerpt(score=0.3)])
    assert citations(ExtractiveBackend(threshold=0.25).stream(request, deadline=0).text)
    assert not citations(ExtractiveBackend().stream(request, deadline=0).text)


@settings(max_examples=150, deadline=None)
@given(
    question=st.text(max_size=60),
    texts=st.lists(st.text(alphabet="ab#>|-1.!?:\"' \n\t\r\u2028é", max_size=900), max_size=4),
)
def test_every_citation_is_a_line_of_its_passage(question: str, texts: list[str]) -> None:
    excerpts = [excerpt(n, text, 0.9, f"T{n}") for n, text in enumerate(texts, 1)]
    first, second = answer(question, *excerpts), answer(question, *excerpts)
    assert first == second
    assert first.text.strip()
    for n, quote in citations(first.text).items():
        assert quote in texts[n - 1]


# --- Kinds of answers ------------------------------------------------------------------------------------------------


def kind(reply: ModelReply) -> str:
    return str(split_declared(reply.text)[1])


@pytest.mark.parametrize(
    ("question", "score", "declared"),
    [
        ("How do I reset my password?", 0.7, "answerable"),
        ("How do I bake bread?", 0.1, "not_in_knowledge"),
        ("I want to talk to a human", 0.1, "needs_person"),
        ("???", 0.1, "needs_fact"),
        ("Thanks!", 0.1, ""),
    ],
)
def test_it_declares_what_kind_of_answer_it_gives(question: str, score: float, declared: str) -> None:
    assert kind(answer(question, excerpt(score=score), tools=[])) == declared


def test_a_call_for_a_person_declares_nothing_until_it_was_heard() -> None:
    assert kind(answer("How do I bake bread?")) == ""
    assert kind(answer("How do I bake bread?", after=escalated("done"))) == "not_in_knowledge"


PLAN = excerpt(1, "You can cancel your plan under Billing.", 0.6, "How do I cancel my plan?")
ORDER = excerpt(2, "You can cancel an order until it is sent.", 0.59, "Cancel an order")


def test_a_word_that_fits_two_articles_alike_is_asked_about() -> None:
    reply = answer("Cancel", PLAN, ORDER)
    assert split_declared(reply.text) == ("Do you mean “How do I cancel my plan” or “Cancel an order”?", "ambiguous")
    assert reply.tool_requests == []


@pytest.mark.parametrize(
    ("question", "excerpts"),
    [
        ("How do I cancel an order that was not sent?", [PLAN, ORDER]),
        ("Cancel order", [PLAN, ORDER]),
        ("Cancel", [PLAN, excerpt(2, ORDER.text, 0.5, ORDER.title)]),
        ("Cancel", [PLAN, Excerpt(2, ORDER.title, ORDER.text, "", 0.6, PLAN.article_id)]),
        ("Cancel", [PLAN, excerpt(2, ORDER.text, 0.6, PLAN.title)]),
        ("Cancel", [PLAN]),
    ],
)
def test_what_says_which_article_it_means_is_answered(question: str, excerpts: list[Excerpt]) -> None:
    assert kind(answer(question, *excerpts)) == "answerable"


def test_it_asks_which_is_meant_once() -> None:
    said = split_declared(answer("Cancel", PLAN, ORDER).text)[0]
    after = [{"role": "assistant", "content": said}, {"role": "user", "content": "cancel"}]
    assert kind(answer("cancel", PLAN, ORDER, after=after)) == "answerable"
