"""From an error budget to a threshold: what the maths promises, whatever people said."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import budget, confidence
from agents.budget import ENOUGH, Judged, threshold_for, upper_bound, within

ANSWERS = st.lists(
    st.builds(Judged, confidence=st.integers(0, 10_000).map(lambda n: n / 10_000), right=st.booleans()), max_size=300
)
BUDGETS = st.floats(0.001, 0.5)
SHIPPED = budget.read_risk(confidence.RISK)


@given(own=ANSWERS, first=BUDGETS, second=BUDGETS)
@settings(max_examples=60, deadline=None)
def test_a_larger_budget_never_raises_the_threshold(own, first, second):
    small, large = sorted((first, second))
    for shipped in ([], SHIPPED):
        strict, lenient = (threshold_for(own=own, shipped=shipped, budget=b) for b in (small, large))
        assert lenient.threshold <= strict.threshold
        assert lenient.coverage >= strict.coverage


@given(own=ANSWERS, wanted=BUDGETS)
@settings(max_examples=60, deadline=None)
def test_the_bound_of_what_goes_out_is_within_the_budget_and_no_lower_threshold_s_is(own, wanted):
    verdict = threshold_for(own=own, shipped=[], budget=wanted)

    def kept(threshold: float) -> bool:
        out = [answer for answer in own if answer.confidence >= threshold]
        return bool(out) and within(wrong=sum(not a.right for a in out), answers=len(out), budget=wanted)

    assert not any(kept(n / 100) for n in range(round(verdict.threshold * 100)))
    if verdict.met:
        assert kept(verdict.threshold)
        assert verdict.wrong <= verdict.bound <= wanted + 1e-6
    else:
        assert (verdict.threshold, verdict.coverage) == (1.0, 0.0)


@pytest.mark.parametrize(("wrong", "answers"), [(0, 45), (3, 100), (7, 300), (50, 60), (0, 1)])
def test_the_bound_is_clopper_and_pearsons(wrong: int, answers: int):
    bound = upper_bound(wrong=wrong, answers=answers)
    at_most = sum(math.comb(answers, k) * bound**k * (1 - bound) ** (answers - k) for k in range(wrong + 1))
    assert at_most == pytest.approx(1 - budget.LEVEL, abs=1e-6)


def test_large_counts_and_none_are_no_error():
    assert 0.0468 < upper_bound(wrong=900, answers=20_000) < 0.0470
    assert upper_bound(wrong=0, answers=0) == upper_bound(wrong=5, answers=5) == 1.0
    assert not threshold_for(own=[], shipped=[], budget=0.1).met


def test_enough_good_answers_of_one_s_own_let_everything_out():
    verdict = threshold_for(own=[Judged(0.1, True)] * 300, shipped=SHIPPED, budget=0.05)
    assert (verdict.met, verdict.threshold, verdict.coverage) == (True, 0.0, 1.0)
    assert verdict.source == "300 judged answers"


def test_the_answers_of_the_fit_fill_up_what_is_missing():
    alone = threshold_for(own=[], shipped=SHIPPED, budget=0.1)
    assert alone.met and 0 < alone.threshold < 1 and (alone.own, alone.lent) == (0, ENOUGH)
    assert alone.source == "the answers Halo was fitted on"
    some = threshold_for(own=[Judged(0.9, True)] * 74, shipped=SHIPPED, budget=0.1)
    assert some.source == "74 judged answers and, for the 126 missing, the answers Halo was fitted on"
    assert threshold_for(own=[Judged(0.9, True)] * ENOUGH, shipped=SHIPPED, budget=0.1).lent == 0


def test_one_s_own_bad_answers_raise_the_threshold_before_there_are_enough():
    before = threshold_for(own=[], shipped=SHIPPED, budget=0.1)
    after = threshold_for(own=[Judged(0.8, False)] * 30, shipped=SHIPPED, budget=0.1)
    assert after.threshold > before.threshold


def test_the_committed_table_is_that_of_the_committed_head():
    assert sum(confidence.RISK["answers"]) == 225
    assert list(confidence.RISK["estimate"]) == sorted(confidence.RISK["estimate"])
    assert sum(entry.weight for entry in SHIPPED if not entry.right) == sum(confidence.RISK["wrong"]) > 0
