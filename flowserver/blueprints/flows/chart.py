"""Lines of a chart as numbers a template can draw: no script, no picture, readable as a table too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its path, the path of the area under it, and where its name stands."""

    path: str
    area: str
    label_y: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What an inline SVG needs."""

    width: int
    height: int
    left: int
    right: int
    lines: list[Line]
    grid: list[tuple[float, int]]  # y, value
    marks: list[tuple[float, int]]  # x, index of the day named there


def draw(
    series: Sequence[Sequence[int]], width: int = 860, height: int = 240, names: int = 70, marks: int = 6
) -> Chart:
    """Lay several series of the same length out. ``names``: room for the names of the lines at the right."""
    left, top, bottom = 36, 12, 24
    right = width - names
    step, most = _scale(max((max(one, default=0) for one in series), default=0))
    days = max((len(one) for one in series), default=0)

    def x(index: int) -> float:
        return round(left + (right - left) * (index / (days - 1) if days > 1 else 0.5), 1)

    def y(value: float) -> float:
        return round(top + (height - top - bottom) * (1 - value / most), 1)

    lines = []
    for one in series:
        points = " ".join(f"{'M' if n == 0 else 'L'}{x(n)} {y(value)}" for n, value in enumerate(one))
        if len(one) == 1:
            points = f"M{left} {y(one[0])} L{right} {y(one[0])}"
        area = (
            f"{points} L{x(len(one) - 1) if len(one) > 1 else right} {y(0)} L{x(0) if len(one) > 1 else left} {y(0)} Z"
        )
        lines.append(Line(points, area if one else "", y(one[-1]) if one else 0))
    return Chart(
        width,
        height,
        left,
        right,
        _apart(lines),
        [(y(value), value) for value in range(0, most + 1, step)],
        [(x(index), index) for index in _picked(days, marks)],
    )


def _scale(largest: int) -> tuple[int, int]:
    """A round step and top for the axis: ``(50, 200)`` for 170."""
    if largest <= 4:
        return 1, max(largest, 1)
    rough = largest / 4
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(
        int(size * magnitude) for size in (1, 2, 2.5, 5, 10) if size * magnitude >= rough and size * magnitude % 1 == 0
    )
    return step, math.ceil(largest / step) * step


def _apart(lines: list[Line], least: float = 15) -> list[Line]:
    """Names at the line ends must not lie on each other: push the lower ones down, and all up where there is no room."""
    order = sorted(range(len(lines)), key=lambda n: lines[n].label_y)
    placed: dict[int, float] = {}
    last = -least
    for n in order:
        last = max(lines[n].label_y, last + least)
        placed[n] = last
    return [Line(line.path, line.area, round(placed[n], 1)) for n, line in enumerate(lines)]


def _picked(days: int, most: int) -> list[int]:
    """Indices of the days that get a name below the axis."""
    if days <= most:
        return list(range(days))
    step = math.ceil(days / most)
    return list(range(0, days, step))
