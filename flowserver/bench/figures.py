"""Figures: variants measured in turn, so that a noisy machine hurts all alike, and rows of the table made of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Row:
    """One line of the table. ``value`` and ``goal`` are plain numbers; ``baseline`` is the other side's rate a second."""

    name: str
    value: float
    goal: float
    at_most: bool = False  # the goal is an upper limit
    unit: str = "×"
    baseline: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the goal is met."""
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def on(self, database: str) -> Row:
        """The same row, named after its database."""
        return replace(self, name=f"{self.name}, {database}")

    def as_json(self) -> dict[str, object]:
        """The row as the JSON file has it."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "goal": self.goal,
            "reached": self.reached,
            "baseline": None if self.baseline is None else round(self.baseline, 1),
        }

    def as_text(self) -> str:
        """The row as the table prints it."""
        sign = "≤" if self.at_most else "≥"
        rate = "" if self.baseline is None else f"{self.baseline:,.0f}/s"
        reached = "yes" if self.reached else "NO"
        cells = f"{self.name:<46}{_number(self.value, self.unit):>12}{sign + ' ' + _number(self.goal, self.unit):>14}"
        return f"{cells}{reached:>9}{rate:>14}  {self.note}".rstrip()


HEAD = f"{'what':<46}{'value':>12}{'goal':>14}{'reached':>9}{'baseline':>14}"


def _number(value: float, unit: str) -> str:
    shown = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
    return f"{shown} {unit}".strip()


@dataclass(frozen=True)
class Compared:
    """Two sides measured in turn: the median of the ratios within a repetition, and each side's median rate."""

    ratio: float
    ours: float
    theirs: float


def in_turn(ours: Callable[[], float], theirs: Callable[[], float], times: int) -> Compared:
    """Measure both sides alternately, ``times`` times; each gives a rate. Who begins changes every time."""
    pairs: list[tuple[float, float]] = []
    for n in range(times):
        if n % 2:
            mine = ours()
            pairs.append((mine, theirs()))
        else:
            other = theirs()
            pairs.append((ours(), other))
    return compared(pairs)


def compared(pairs: list[tuple[float, float]]) -> Compared:
    """Medians of ``(ours, theirs)`` pairs."""
    return Compared(
        ratio=statistics.median(mine / other for mine, other in pairs),
        ours=statistics.median(mine for mine, _ in pairs),
        theirs=statistics.median(other for _, other in pairs),
    )


def rates(measured: Mapping[str, float]) -> str:
    """Our own rates as a note: "12,345 visits/s"."""
    return ", ".join(f"{value:,.0f} {name}/s" for name, value in measured.items())
