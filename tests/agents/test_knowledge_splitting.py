"""Passages: verbatim, short enough for the model, cut where a reader would cut."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.knowledge.splitting import MAX_SIZE, MIN_SIZE, sentences, size, split

SENTENCE = "You can change the address of your account at any time in the settings. "
LIST = "\n".join(f"{number}. Step number {number} of the list is done like this." for number in range(1, 9))
MARKDOWN = st.text(alphabet="ab.!? \t\r\n#*-|`>1=_é日\u2028", max_size=600)


def test_a_section_becomes_a_passage_under_its_heading_path() -> None:
    pieces = split(
        "Accounts", f"# Address\n\n{SENTENCE * 5}\n\n## Abroad\n\n{SENTENCE * 6}\n\n# Name\n\n{SENTENCE * 5}"
    )
    assert [piece.heading for piece in pieces] == [
        "Accounts > Address",
        "Accounts > Address > Abroad",
        "Accounts > Name",
    ]
    assert [piece.position for piece in pieces] == [0, 1, 2]


def test_short_sections_share_a_passage_that_shows_their_headings() -> None:
    content = "## Opening\n\nBring your passport.\n\n## Closing\n\nWrite to us."
    (piece,) = split("Accounts", content)
    assert (piece.heading, piece.text) == ("Accounts", content)


def test_a_documents_first_heading_is_not_repeated_after_its_title() -> None:
    assert [piece.heading for piece in split("Accounts", "# Accounts\n\nAll about them.")] == ["Accounts"]


def test_a_long_text_is_cut_between_sentences() -> None:
    pieces = split("Accounts", SENTENCE * 60)
    assert len(pieces) > 3
    assert all(piece.text.startswith("You can") and piece.text.endswith("settings.") for piece in pieces)
    assert all(MIN_SIZE <= size(piece.text) <= MAX_SIZE for piece in pieces)


def test_a_list_a_table_and_code_stay_whole_where_they_fit() -> None:
    table = "| Card | Fee |\n|---|---|\n| Gold | $10 |\n| Silver | $5 |"
    code = "```\nfirst line\n\n# no heading\nlast line\n```"
    content = "\n\n".join([SENTENCE * 8, LIST, SENTENCE * 8, table, SENTENCE * 8, code])
    texts = [piece.text for piece in split("Cards", content)]
    for whole in (LIST, table, code):
        assert any(whole in text for text in texts)


def test_a_long_list_is_cut_between_its_items() -> None:
    items = [f"- Item {number}, which is explained here\n  and on a second line." for number in range(40)]
    pieces = split("List", "\n".join(items))
    assert len(pieces) > 1
    assert all(piece.text.startswith("- Item") and piece.text.endswith("line.") for piece in pieces)


def test_an_article_without_text_is_found_by_its_title() -> None:
    assert [(piece.heading, piece.text) for piece in split("Opening hours", " \n")] == [("Opening hours",) * 2]


def test_headings_without_text_below_them_are_kept() -> None:
    (piece,) = split("Questions", "## Is it free? Yes.\n## Is it fast? Very.\n")
    assert piece.text == "## Is it free? Yes.\n## Is it fast? Very."


def test_windows_line_ends_change_nothing_but_themselves() -> None:
    content = f"# Address\n\n{SENTENCE * 20}\n\n{LIST}\n\n# Name\n\n{SENTENCE * 5}"
    unix, windows = split("A", content), split("A", content.replace("\n", "\r\n"))
    assert [piece.text for piece in unix] == [piece.text.replace("\r\n", "\n") for piece in windows]
    assert all(piece.text in content.replace("\n", "\r\n") for piece in windows)


@pytest.mark.parametrize(
    "content",
    ["x" * 300_000, "word " * 60_000, "a" + " " * 300_000 + "b", "[" * 300_000, "日本語。" * 50_000, "> " * 100_000],
    ids=["one word", "one line", "spaces", "brackets", "no spaces", "nested"],
)
def test_a_huge_line_is_cut_and_takes_no_more_than_seconds(content: str) -> None:
    began = time.monotonic()
    pieces = split("Huge", content)
    assert time.monotonic() - began < 10
    assert all(len(piece.text) <= 10 * MAX_SIZE + 500 for piece in pieces)


@settings(max_examples=150, deadline=None)
@given(MARKDOWN)
def test_every_passage_is_a_slice_of_the_article_and_no_word_is_lost(content: str) -> None:
    pieces = split("Title", content)
    end = 0
    missed = []
    for piece in pieces if content.strip() else []:
        start = content.index(piece.text, end)
        missed.append(content[end:start])
        end = start + len(piece.text)
    # Between passages stand blank space, and headings, which are in the next one's path.
    between = "".join([*missed, content[end:]])
    paths = " ".join(piece.heading for piece in pieces)
    assert all(word in paths for word in between.replace("#", " ").replace("=", " ").replace("-", " ").split())


def test_sentences_end_at_punctuation_and_at_lines() -> None:
    assert sentences('He said "no." Then he left!\r\nWhy? 日本。語') == [
        'He said "no."',
        "Then he left!",
        "Why?",
        "日本。",
        "語",
    ]
