"""What is done once in a turn, how often, and what is asked first."""

from __future__ import annotations

import pytest

from agents.tools import builtin, calls
from agents.tools.calls import Call, Tally
from agents.tools.reading import BadCall


def test_what_was_done_in_a_turn_is_not_done_again() -> None:
    tally = Tally()
    for number in range(builtin.MAX_TICKETS):
        call = Call("create_ticket", {"subject": str(number), "message": "x"})
        calls.check_surplus(call, tally)
        tally.count(call)
    for again in (call, Call("create_ticket", {"subject": "another", "message": "x"})):
        with pytest.raises(BadCall):
            calls.check_surplus(again, tally)
    tally.count(Call("navigate", {"url": "/a"}))
    with pytest.raises(BadCall, match="/a already"):
        calls.check_surplus(Call("navigate", {"url": "/b"}), tally)


def test_calls_are_numbered_out() -> None:
    calls.check_numbers(step=builtin.MAX_CALLS - 1, place=builtin.MAX_CALLS_A_ROUND - 1)
    for step, place in ((builtin.MAX_CALLS, 0), (0, builtin.MAX_CALLS_A_ROUND)):
        with pytest.raises(BadCall):
            calls.check_numbers(step=step, place=place)


def test_a_question_that_does_not_say_what_it_is_about_is_put_into_words() -> None:
    asked = [Call("cancel_order", {"order_id": "A-1"})]

    assert calls.with_questions("Shall I cancel order A-1?", asked) == "Shall I cancel order A-1?"
    assert "Cancel order (order_id: A-1)" in calls.with_questions("Would you like a joke?", asked)
    assert calls.with_questions("Hello", []) == "Hello"
