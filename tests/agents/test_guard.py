"""What nothing supports does not leave; what something supports does, in other words too."""

from __future__ import annotations

import time

import pytest

from agents.guard import Guarded, Known, check

PASSAGES = [
    (
        "Prices",
        "A city bike costs £14 a day. An electric bike costs £28 a day. A helmet and a lock come with each bike.",
    ),
    ("Opening hours", "The shop on Mill Lane is open every day from 9:00 to 18:00. In winter it closes at 17:00."),
    ("Cancelling", "A booking can be cancelled free of charge until 24 hours before it begins. Later we keep half."),
    ("Contact", "Write to help@larkwheel.example or call (951) 368-0368. More at https://www.larkwheel.example/help/."),
]


def guarded(answer: str, question: str = "Tell me about it.", told: list[str] | None = None) -> Guarded:
    return check(answer, Known(passages=PASSAGES, told=told or [], asked=[question]))


@pytest.mark.parametrize(
    "answer",
    [
        "A city bike costs £14 a day.",
        "Yes, you can cancel a booking free of charge up to 24 hours before it begins.",
        "Our shop is open daily from 9 to 18 o'clock.",
        "In winter, the shop closes at 17:00.",
        "You can call (951) 368-0368 or write to help@larkwheel.example.",
        "See [the help pages](https://larkwheel.example/help).",
        "Each bike comes with a helmet and a lock.",
        "1. A city bike costs £14 a day.\n2. An electric bike costs £28 a day.",
    ],
)
def test_what_the_passages_say_leaves_as_it_is(answer: str) -> None:
    assert guarded(answer) == Guarded(answer, [], guarded(answer).claims)
    assert guarded(answer).claims >= 1


@pytest.mark.parametrize(
    "answer",
    [
        "A tandem costs £45 a weekend.",
        "The city bike costs £99 a day.",
        "Larkwheel was founded in 2013 by Ann Miller.",
        "Yes, students pay half.",
        "The Wi-Fi password is lark-1234.",
        "Refunds are paid within two weeks to your credit card.",
        "Write to refunds@elsewhere.example.",
        "No.",
    ],
)
def test_what_they_do_not_say_does_not_leave(answer: str) -> None:
    found = guarded(answer, question="Do students pay half?")
    assert (found.text, found.claims) == ("", 0)
    assert found.kept_back == [answer]


@pytest.mark.parametrize(
    "answer",
    [
        "Hello! How can I help you today?",
        "I'm sorry, I don't have any information about tandems.",
        "I can pass this on to our team.",
        "Which bike do you mean?",
        "You're welcome!",
    ],
)
def test_words_that_state_nothing_leave(answer: str) -> None:
    assert guarded(answer) == Guarded(answer)


def test_only_the_unsupported_statements_of_an_answer_are_kept_back() -> None:
    found = guarded("A city bike costs £14 a day. It was built in Germany in 1999. An electric bike costs £28 a day.")
    assert found.text == "A city bike costs £14 a day. An electric bike costs £28 a day."
    assert found.kept_back == ["It was built in Germany in 1999."]


def test_a_number_has_to_stand_with_what_is_said_of_it() -> None:
    # 24 is in the passages, but of hours before a booking.
    assert guarded("The city bike has 24 gears.").kept_back


def test_the_visitors_own_numbers_may_be_repeated_but_their_words_support_nothing() -> None:
    assert guarded("Yes, students get a discount of 30 percent.", "Do students get a discount of 30 percent?").kept_back
    answer = "Your booking 4711 can be cancelled free of charge until 24 hours before it begins."
    assert guarded(answer, "Until when can booking 4711 be cancelled?").claims == 1


def test_what_is_said_has_to_be_said_of_what_was_asked_about() -> None:
    assert guarded("A tandem costs £14 a day.", "What does a tandem cost?").kept_back
    assert guarded("A city bike costs £14 a day.", "What does a city bike cost?").claims == 1


def test_a_sentence_that_was_cut_off_does_not_leave_alone() -> None:
    assert guarded("A tandem costs £45. A city").text == ""


def test_what_the_organisation_and_the_tools_say_supports_too() -> None:
    assert guarded("Your parcel 77 arrives on Friday.").kept_back
    assert guarded("Your parcel 77 arrives on Friday.", told=['{"parcel": 77, "arrives": "Friday"}']).claims == 1


def test_an_answer_in_another_language_is_held_to_its_numbers() -> None:
    assert guarded("Ein Stadtrad kostet bei uns pro Tag £14, und ein Helm ist dabei.").claims == 1
    assert guarded("Ein Stadtrad kostet bei uns pro Tag £45, und ein Helm ist dabei.").kept_back


def test_a_model_in_a_loop_is_heard_once() -> None:
    found = guarded("A tandem costs £45.\n" + "A city bike costs £14 a day.\n" * 20)
    assert found.text == "A city bike costs £14 a day."


@pytest.mark.parametrize(
    "text", ["a" * 20_000, "a. " * 6_000, "1. " * 6_000, "```" * 6_000, "ask " * 5_000, " \n" * 9_000]
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    guarded(text)
    assert time.process_time() - began < 2
