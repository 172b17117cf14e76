"""Days as stacked bars, in an SVG's own units; the template draws them, with the table behind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 760, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 752, 10, 194
MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a bar."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One day, and what is said of it when one points at it."""

    says: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """All days, with numbers at the left and names of days below."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, str], ...]
    names: tuple[tuple[float, str], ...]


def stacked(days: Sequence[dt.date], parts: Sequence[tuple[str, str, Sequence[int]]]) -> Bars:
    """Bars of `parts` (kind, name, a number for each day), the first of them at the bottom."""
    sums = [sum(values[n] for _, _, values in parts) for n in range(len(days))]
    top = _round_up(max(sums, default=0))
    step = (RIGHT - LEFT) / max(len(days), 1)
    bars = []
    for n, day in enumerate(days):
        floor, pieces = float(BOTTOM), []
        for kind, _, values in parts:
            height = (BOTTOM - TOP) * values[n] / top
            if height > 0:
                floor -= height
                x, width = round(LEFT + step * (n + 0.12), 1), round(step * 0.76, 1)
                pieces.append(Piece(kind, x, round(floor, 1), width, round(height, 1)))
        told = ", ".join(f"{values[n]:,} {name.lower()}" for _, name, values in parts if values[n])
        bars.append(Bar(f"{day:%-d %B}: {told or 'nothing'}", tuple(pieces)))
    every = -(-len(days) // MOST_NAMES) or 1
    names = tuple((round(LEFT + step * (n + 0.5), 1), f"{day:%-d %b}") for n, day in enumerate(days) if n % every == 0)
    lines = tuple((round(BOTTOM - (BOTTOM - TOP) * n / 4, 1), f"{top * n // 4:,}") for n in range(5))
    return Bars(tuple(bars), lines, names)


def _round_up(number: int) -> int:
    """The next number whose quarters read well."""
    steps = (scale * 10**power for power in range(9) for scale in (4, 8, 12, 16, 20, 24, 32))
    return next(step for step in steps if step >= number)
