"""Citations name only numbers that we issued, and quotes that occur."""

from __future__ import annotations

import time

from agents.citations import check
from agents.llm.base import Excerpt

RETURNS = Excerpt(
    1,
    "Returns",
    "You may return socks within 30 days. Unworn ones only.\nWe’ll refund you.",
    "https://x/r",
    0.8,
    "doc_1",
)
SHIPPING = Excerpt(2, "Shipping", "Shipping takes 3 days to most countries.", "", 0.7, "doc_2")


def test_a_quote_that_occurs_is_kept_in_the_passages_own_words() -> None:
    checked = check('Thirty days [1].\n\n[1]: "you may  return socks within 30 days"', [RETURNS])

    assert checked.text == "Thirty days [1]."
    assert checked.citations == [
        {
            "n": 1,
            "article_id": "doc_1",
            "title": "Returns",
            "url": "https://x/r",
            "quote": "You may return socks within 30 days",
        }
    ]
    assert checked.unsupported == 0


def test_typographic_and_plain_apostrophes_are_the_same() -> None:
    assert check('Yes [1].\n[1]: "We\'ll refund you."', [RETURNS]).citations[0]["quote"] == "We’ll refund you"


def test_a_quote_that_does_not_occur_and_a_number_we_did_not_issue_are_dropped_and_counted() -> None:
    checked = check('Free forever [1], and a pony [7].\n[1]: "everything is free"\n[7]: "a pony"', [RETURNS])

    assert checked.citations == []
    assert checked.unsupported == 2
    assert checked.text == "Free forever, and a pony."


def test_a_marker_without_a_quote_is_confirmed_by_the_sentence_it_rests_on() -> None:
    checked = check("Shipping takes 3 days to most countries [2].", [RETURNS, SHIPPING])

    assert [citation["quote"] for citation in checked.citations] == ["Shipping takes 3 days to most countries."]


def test_brackets_that_are_no_citations_are_left_alone() -> None:
    text = "Use `list[3]`, see [5](https://example.com) and [note]."

    assert check(text, [RETURNS]).text == text


def test_without_passages_the_answer_is_left_as_it_is() -> None:
    assert check("Seen in [1].", []).text == "Seen in [1]."


def test_an_answer_that_is_nothing_but_quotes_is_not_emptied() -> None:
    assert check('[1]: "You may return socks"', [RETURNS]).text


def test_a_line_of_spaces_costs_no_time() -> None:
    began = time.monotonic()
    check('Yes [1].\n[1]: "' + " " * 20_000 + "x", [RETURNS])
    assert time.monotonic() - began < 0.5
