"""How well estimates keep their word, given what came true: figures, their uncertainty, and the curves behind them.

Everything takes two equally long arrays: `estimates` in [0, 1], and `truth`, 1 where the answer was right, else 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
BINS = 10
# The standard normal's 97.5 % point: two-sided intervals of 95 %.
Z = 1.959964
DRAWS = 200


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and where it lies with 95 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of neighbouring estimates: how right they were said to be, and how right they were."""

    low: float
    high: float
    answers: int
    right: int
    estimate: float
    observed: Interval


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """If only answers of at least `threshold` went out: the share that would, and how many of those are wrong."""

    threshold: float
    coverage: float
    answers: int
    wrong: int

    @property
    def risk(self) -> float:
        return self.wrong / self.answers


def auroc(estimates: Numbers, truth: Numbers) -> float:
    """How often a row that is true is rated above one that is not; equal ones count half. NaN without both kinds."""
    right = truth > 0.5
    true, false = int(right.sum()), int((~right).sum())
    if not true or not false:
        return math.nan
    # Mann and Whitney's statistic, from ranks: pairs would take too much memory.
    return float((_ranks(estimates)[right].sum() - true * (true + 1) / 2) / (true * false))


def brier(estimates: Numbers, truth: Numbers) -> float:
    """Mean squared error of the estimates."""
    return float(((estimates - truth) ** 2).mean())


def calibration_error(estimates: Numbers, truth: Numbers) -> float:
    """ECE: the distance between mean estimate and share of true rows, over bins of equally many rows."""
    bins = np.array_split(np.argsort(estimates, kind="stable"), min(BINS, len(truth)))
    return float(sum(len(rows) * abs(estimates[rows].mean() - truth[rows].mean()) for rows in bins) / len(truth))


def error_of_chance(estimates: Numbers, *, seed: int = 0) -> float:
    """The ECE that perfectly calibrated estimates would show on average with as many rows: chance alone."""
    random, ordered = np.random.default_rng(seed), np.sort(estimates)
    sizes = [len(rows) for rows in np.array_split(ordered, min(BINS, len(ordered)))]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    said = np.add.reduceat(ordered, starts)
    drawn = [
        np.abs(said - np.add.reduceat((random.random(len(ordered)) < ordered).astype(float), starts)).sum()
        for _ in range(DRAWS)
    ]
    return float(np.mean(drawn)) / len(ordered)


def auroc_interval(estimates: Numbers, truth: Numbers) -> Interval:
    """AUROC with DeLong's interval, on the logit scale so that it stays within 0 and 1; needs rows of both kinds."""
    right = truth > 0.5
    above, below = estimates[right], estimates[~right]
    true, false = len(above), len(below)
    everywhere = _ranks(estimates)
    value = auroc(estimates, truth)
    # Each row's share of the pairs that it wins (Sun and Xu 2014); their spread is that of the AUROC.
    of_true = (everywhere[right] - _ranks(above)) / false
    of_false = 1 - (everywhere[~right] - _ranks(below)) / true
    if not 0 < value < 1 or min(true, false) < 2:
        return Interval(value, *wilson(round(value * min(true, false)), min(true, false)))
    spread = math.sqrt(float(of_true.var(ddof=1) / true + of_false.var(ddof=1) / false))
    middle, reach = math.log(value / (1 - value)), Z * spread / (value * (1 - value))
    return Interval(value, _expit(middle - reach), _expit(middle + reach))


def brier_interval(estimates: Numbers, truth: Numbers) -> Interval:
    """Brier with the interval of a mean; needs two rows."""
    errors = (estimates - truth) ** 2
    reach = Z * float(errors.std(ddof=1)) / math.sqrt(len(errors))
    mean = float(errors.mean())
    return Interval(mean, max(0.0, mean - reach), min(1.0, mean + reach))


def share(right: int, answers: int) -> Interval:
    """A share with Wilson's interval."""
    return Interval(right / answers, *wilson(right, answers))


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share: honest with few trials, and at 0 and 1."""
    seen = hits / trials
    scale = 1 + Z**2 / trials
    middle = (seen + Z**2 / (2 * trials)) / scale
    reach = Z * math.sqrt(seen * (1 - seen) / trials + Z**2 / (4 * trials**2)) / scale
    return max(0.0, middle - reach), min(1.0, middle + reach)


def reliability(estimates: Numbers, truth: Numbers) -> list[Bin]:
    """Bins of equally many answers, ten at most and of ten answers at least, from the lowest estimates up."""
    order = np.argsort(estimates, kind="stable")
    found = []
    for rows in np.array_split(order, max(1, min(BINS, len(truth) // 10))):
        right = int(truth[rows].sum())
        found.append(
            Bin(
                low=float(estimates[rows[0]]),
                high=float(estimates[rows[-1]]),
                answers=len(rows),
                right=right,
                estimate=float(estimates[rows].mean()),
                observed=share(right, len(rows)),
            )
        )
    return found


def risk_coverage(estimates: Numbers, truth: Numbers) -> list[RiskPoint]:
    """A point for each estimate that occurs, from the highest down: equal ones go out together."""
    order = np.argsort(-estimates, kind="stable")
    falling = estimates[order]
    wrong = np.cumsum(1 - truth[order])
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    return [
        RiskPoint(float(falling[end]), float(end + 1) / len(order), int(end) + 1, round(float(wrong[end])))
        for end in ends
    ]


def thinned(points: Sequence[RiskPoint], most: int) -> list[RiskPoint]:
    """`most` of the points or fewer, the first and the last among them: as many as a chart can show."""
    if len(points) <= most:
        return list(points)
    return [points[round(n * (len(points) - 1) / (most - 1))] for n in range(most)]


def _ranks(values: Numbers) -> Numbers:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place], dtype=float)


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value))
