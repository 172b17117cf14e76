"""Figures of calibration are those of the textbook, and their intervals hold what they say."""

from __future__ import annotations

import numpy as np
import pytest

from agents import calibration


def drawn(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Estimates that are perfectly calibrated, and what came true."""
    random = np.random.default_rng(seed)
    estimates = random.beta(3, 1, count)
    return estimates, (random.random(count) < estimates).astype(float)


def test_auroc_by_ranks_is_that_by_pairs():
    random = np.random.default_rng(2)
    estimates, truth = random.integers(0, 6, 80) / 5, random.integers(0, 2, 80).astype(float)
    above, below = estimates[truth == 1][:, None], estimates[truth == 0][None, :]
    assert calibration.auroc(estimates, truth) == pytest.approx(
        float(((above > below) + 0.5 * (above == below)).mean())
    )
    assert np.isnan(calibration.auroc(estimates, np.ones(80)))


def test_delongs_interval_holds_the_true_auroc_about_95_times_in_100():
    truths = [calibration.auroc(*drawn(4000, seed)) for seed in range(5)]
    held = 0
    for seed in range(100):
        interval = calibration.auroc_interval(*drawn(200, seed + 100))
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
        held += interval.low <= float(np.mean(truths)) <= interval.high
    assert 88 <= held <= 100


def test_wilsons_interval_is_that_of_the_textbook():
    assert calibration.wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert calibration.wilson(0, 10)[0] == 0 and calibration.wilson(10, 10)[1] == pytest.approx(1)


def test_perfect_separation_has_an_interval_too():
    interval = calibration.auroc_interval(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert interval.value == 1.0 and interval.low < 1.0


def test_a_calibrated_confidence_errs_as_much_as_chance_does():
    estimates, truth = drawn(400)
    chance = calibration.error_of_chance(estimates)
    assert chance == calibration.error_of_chance(estimates)
    assert 0.3 * chance < calibration.calibration_error(estimates, truth) < 2 * chance
    assert calibration.calibration_error(estimates, 1 - truth) > 3 * chance


def test_bins_hold_every_answer_once_and_ten_at_least():
    estimates, truth = drawn(57)
    bins = calibration.reliability(estimates, truth)
    assert sum(b.answers for b in bins) == 57 and min(b.answers for b in bins) >= 10
    assert sum(b.right for b in bins) == int(truth.sum())
    assert all(b.low <= b.estimate <= b.high and b.observed.low <= b.observed.value <= b.observed.high for b in bins)


def test_equal_estimates_go_out_together():
    points = calibration.risk_coverage(np.array([0.9, 0.9, 0.5, 0.1]), np.array([1.0, 0.0, 1.0, 0.0]))
    assert [(p.threshold, p.answers, p.wrong) for p in points] == [(0.9, 2, 1), (0.5, 3, 1), (0.1, 4, 2)]
    assert points[-1].coverage == 1 and points[-1].risk == 0.5
    assert [p.threshold for p in calibration.thinned(points, 2)] == [0.9, 0.1]
