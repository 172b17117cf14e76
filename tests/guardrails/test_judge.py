"""The judge of the small model's answers tells what an article says from what sounds like it."""

from __future__ import annotations

import pytest

from tests.guardrails.conftest import articles
from tests.guardrails.judge import Judge, said_in

JUDGE = Judge([f"{article.title}\n{article.content}" for article in articles()])


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How much is a city bike?", "A city bike costs £14 a day or £60 a week [1]."),
        ("How much is theft cover?", "**£4** a day for each bike."),
        (
            "How late are you open?",
            "The shop on Mill Lane is open every day from 9 to 18:00. Let me know if I can help!",
        ),
        ("Is there a discount for students?", "I'm sorry, I could not find that. I have passed this on to our team."),
        ("Is there a discount for students?", "What would you like to know about our prices?"),
    ],
)
def test_what_an_article_says_and_a_refusal_are_no_inventions(question: str, answer: str) -> None:
    assert JUDGE.inventions(answer, question=question) == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How much is a city bike?", "A city bike costs £15 a day."),
        ("How much is a cargo bike?", "A cargo bike costs £14 a day."),
        ("How many bikes do you own?", "I have 12 bikes."),
        ("Who owns the shop?", "It belongs to Henry Marlow."),
        ("Do you sell used bikes?", "Yes, we do."),
        ("Is there a discount for students?", "Students get a discount on every booking."),
        ("Is there a discount for students?", "I'm sorry, I am not sure. It is £7 a day."),
    ],
)
def test_what_no_single_article_says_is_an_invention(question: str, answer: str) -> None:
    assert JUDGE.inventions(answer, question=question)


def test_a_statement_is_found_again_whatever_its_citations_and_marks() -> None:
    assert said_in("A city bike costs £14 a day.", "Hello!\n\nA **city bike** costs £14 [2] a day.")
    assert not said_in("A city bike costs £1", "A city bike costs £14 a day.")
