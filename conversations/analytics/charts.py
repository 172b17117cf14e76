"""Charts as numbers: where the lines and marks of an SVG stand. Templates draw them; nothing runs in the browser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agents.budget import upper_bound
from agents.calibration import Bin, RiskPoint, thinned

# The drawing's own units: the plot stands inside, axes and their words around it.
WIDTH, HEIGHT = 460, 330
LEFT, RIGHT, TOP, BOTTOM = 52, 432, 14, 284
# Of the lines beside figures.
SPARK = (120, 32)
# Points of a curve: more than eyes tell apart.
MOST_POINTS = 60


@dataclass(frozen=True, slots=True)
class Tick:
    """A number at an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A point with its interval, and its row of the table."""

    x: float
    y: float
    low: float
    high: float
    bin: Bin


@dataclass(frozen=True, slots=True)
class Reliability:
    """What was said against what came true; on the diagonal both are the same."""

    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marks: list[Mark]
    line: str


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """How many of the answers that go out are wrong, by how many go out; with the budget where it is met."""

    x_ticks: list[Tick]
    y_ticks: list[Tick]
    line: str
    bound: str
    budget: float
    budget_y: float
    chosen_x: float | None
    chosen_y: float
    points: list[RiskPoint]


def reliability_chart(bins: Sequence[Bin]) -> Reliability:
    marks = [Mark(_x(b.estimate), _y(b.observed.value), _y(b.observed.low), _y(b.observed.high), b) for b in bins]
    return Reliability(
        x_ticks=_ticks(_x, 1.0), y_ticks=_ticks(_y, 1.0), marks=marks, line=_path([(m.x, m.y) for m in marks])
    )


def risk_chart(points: Sequence[RiskPoint], *, budget: float, chosen: RiskPoint | None) -> RiskCoverage:
    """`chosen`: the last point that the budget lets go out; None where nothing does."""
    shown = thinned(points, MOST_POINTS)
    # The first few answers are noise; the axis is for what comes after.
    steady = [point.risk for point in shown if point.answers >= 10] or [point.risk for point in shown]
    top = min(1.0, max(0.1, math.ceil(max(*steady, budget * 1.5, 0.0) * 10) / 10))

    def y(share: float) -> float:
        return _y(min(share, top) / top)

    bounds = [(_x(p.coverage), y(upper_bound(wrong=p.wrong, answers=p.answers))) for p in shown]
    return RiskCoverage(
        x_ticks=_ticks(_x, 1.0),
        y_ticks=_ticks(_y, top),
        line=_path([(_x(p.coverage), y(p.risk)) for p in shown]),
        bound=_path(bounds),
        budget=budget,
        budget_y=y(budget),
        chosen_x=_x(chosen.coverage) if chosen else None,
        chosen_y=y(chosen.risk) if chosen else 0.0,
        points=thinned(points, 20),
    )


@dataclass(frozen=True, slots=True)
class Spark:
    """A small line over days, drawn on SPARK units; a day without a value is a gap."""

    line: str
    last_x: float
    last_y: float | None


def spark(values: Sequence[float | None]) -> Spark:
    """The course of some days, the last of them now."""
    known = [value for value in values if value is not None]
    top = max(known, default=0.0) or 1.0
    width, height = SPARK
    places = [
        (
            round(2 + (width - 6) * n / max(len(values) - 1, 1), 1),
            None if value is None else round(height - 3 - (height - 6) * value / top, 1),
        )
        for n, value in enumerate(values)
    ]
    line, drawn = [], False
    for x, y in places:
        if y is not None:
            line.append(f"{'L' if drawn else 'M'}{x:g} {y:g}")
        drawn = y is not None
    return Spark(" ".join(line), places[-1][0] if places else 0.0, places[-1][1] if places else None)


def _x(share: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * share, 1)


def _y(share: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * share, 1)


def _ticks(place: object, top: float) -> list[Tick]:
    steps = 5 if top >= 0.5 or round(top * 10) % 2 else 4
    assert callable(place)
    return [Tick(place(n / steps), f"{round(100 * top * n / steps, 1):g} %") for n in range(steps + 1)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{'L' if n else 'M'}{x:g} {y:g}" for n, (x, y) in enumerate(points))
