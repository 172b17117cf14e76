"""From an error budget to a threshold: how sure an answer must be, so that few enough of those that go out are wrong.

For each threshold t, the share of wrong answers among those with a confidence of at least t is bounded from above by
Clopper and Pearson, one-sided, at LEVEL. The lowest t whose bound is within the budget is taken. Clopper-Pearson and
not Wilson, because Wilson's bound is too low exactly where budgets are: at few wrong among few.

Where an organisation has judged few answers, those that Halo was fitted on fill up what is missing to ENOUGH, each
counting for less than one. Pure: numbers in and out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Of the bound. The lowest of many thresholds is taken, which costs some of it: see docs/quality.md for how much.
LEVEL = 0.9
# Judged answers of one's own from which on nobody else's count.
ENOUGH = 200
# Thresholds are tried, and stored, in hundredths.
STEPS = 100
# What is escalated where no threshold keeps the budget: everything.
NOTHING = 1.0


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer's confidence, whether it was right, and for how many answers it counts."""

    confidence: float
    right: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a budget comes to. `met` False: no threshold keeps it, and `threshold` is 1, which escalates everything.

    `coverage` is the share of the answers judged that would go out, `wrong` the share of those that was wrong and
    `bound` what it is at most; `own` how many answers of one's own were judged, `lent` for how many the others count.
    """

    budget: float
    threshold: float
    met: bool
    coverage: float
    wrong: float
    bound: float
    own: int
    lent: float

    @property
    def source(self) -> str:
        """Where the numbers come from, as part of a sentence."""
        own = f"{self.own:,} judged answer{'' if self.own == 1 else 's'}"
        if not self.lent:
            return own
        fitted = "the answers Halo was fitted on"
        return f"{own} and, for the {round(self.lent)} missing, {fitted}" if self.own else fitted


def threshold_for(*, own: Sequence[Judged], shipped: Sequence[Judged], budget: float) -> Verdict:
    """The lowest threshold that keeps `budget`, a share in (0, 1); a larger budget never raises it."""
    lent = max(0, ENOUGH - len(own)) if shipped else 0
    total = math.fsum(answer.weight for answer in shipped)
    judged = [*own, *(Judged(a.confidence, a.right, a.weight * lent / total) for a in shipped if lent)]
    out, wrong = _from_above(judged)
    found = next((n for n in range(STEPS) if within(wrong=wrong[n], answers=out[n], budget=budget)), None)
    if found is None:
        return Verdict(budget, NOTHING, False, 0.0, 0.0, 1.0, len(own), float(lent))
    return Verdict(
        budget=budget,
        threshold=found / STEPS,
        met=True,
        coverage=out[found] / out[0],
        wrong=wrong[found] / out[found],
        bound=upper_bound(wrong=wrong[found], answers=out[found]),
        own=len(own),
        lent=float(lent),
    )


def within(*, wrong: float, answers: float, budget: float) -> bool:
    """Whether the upper bound of the share of wrong answers is at most `budget`."""
    return answers > wrong and 1 - _beta(budget, wrong + 1, answers - wrong) <= 1 - LEVEL


def upper_bound(*, wrong: float, answers: float) -> float:
    """What the share of wrong answers is at most, with LEVEL confidence; counts need not be whole."""
    if answers <= wrong:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if within(wrong=wrong, answers=answers, budget=middle) else (middle, high)
    return high


def read_risk(written: Mapping[str, Any]) -> list[Judged]:
    """The answers behind a risk table of confidence.json, each group of them as one right and one wrong entry."""
    found = []
    for confidence, answers, wrong in zip(written["estimate"], written["answers"], written["wrong"], strict=True):
        found += [Judged(confidence, True, float(answers - wrong)), Judged(confidence, False, float(wrong))]
    return [entry for entry in found if entry.weight]


def _from_above(judged: Sequence[Judged]) -> tuple[list[float], list[float]]:
    """For each threshold n / STEPS: how many answers have at least that confidence, and how many of those are wrong."""
    out, wrong = [0.0] * (STEPS + 1), [0.0] * (STEPS + 1)
    for answer in judged:
        # An answer goes out under every threshold up to its confidence; 0.29 * 100 is a little less than 29.
        place = min(STEPS, math.floor(answer.confidence * STEPS + 1e-9))
        out[place] += answer.weight
        wrong[place] += 0.0 if answer.right else answer.weight
    for n in reversed(range(STEPS)):
        out[n] += out[n + 1]
        wrong[n] += wrong[n + 1]
    return out, wrong


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz; DLMF 8.17.22)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    tiny = 1e-300
    c, d = 1.0, 1 / (_not_zero(1 - (a + b) * x / (a + 1), tiny))
    fraction = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d, tiny)
            c = _not_zero(1 + term / c, tiny)
            fraction *= d * c
        if abs(d * c - 1) < 1e-12:
            break
    return front * fraction / a


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
