"""A square over pairs of replicas as characters, those alike side by side, and one pair of it in words."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tui.text.format import UNICODE, Symbols
from tui.text.text_figures import HEAT, HEAT_ASCII, choose_step

Square = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Heat:
    """One quantity of every two replicas."""

    title: str
    unit: str
    replicas: tuple[int, ...]
    """Their numbers in the plan, from 1."""
    runs: tuple[str, ...]
    order: tuple[int, ...]
    """Places in the order of the rows."""
    values: Square
    """By place."""

    @cached_property
    def ranked(self) -> Sequence[float]:
        """The values of every two different replicas, the least first."""
        return sorted(value for row, line in enumerate(self.values) for value in line[row + 1 :])

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest value of two different replicas."""
        return (self.ranked[0], self.ranked[-1]) if self.ranked else (0.0, 0.0)

    def find(self, row: int, column: int) -> float:
        """Return the value at a row and a column of the picture."""
        return self.values[self.order[row]][self.order[column]]


def draw_heat(heat: Heat, symbols: Symbols = UNICODE) -> list[list[str]]:
    """Draw a character per pair: empty is the least of all pairs, full the most; the diagonal is a mark."""
    steps = HEAT if symbols is UNICODE else HEAT_ASCII
    low, high = heat.range
    size = len(heat.order)
    rows: list[list[str]] = []
    for row in range(size):
        shares = [(heat.find(row, column) - low) / (high - low) if high > low else 0.0 for column in range(size)]
        rows.append(["\\" if row == column else choose_step(share, steps) for column, share in enumerate(shares)])
    return rows


def describe_scale(heat: Heat, symbols: Symbols = UNICODE) -> str:
    """Say what the characters stand for."""
    steps = HEAT if symbols is UNICODE else HEAT_ASCII
    low, high = heat.range
    if low == high:
        return f"{heat.title}, {heat.unit}: {low:.3g} of every two"
    return f"{heat.title}, {heat.unit}: {low:.3g} '{steps[0]}' to {high:.3g} '{steps[-1]}'"


def describe_pair(heat: Heat, row: int, column: int) -> str:
    """Name the two replicas at a row and a column, with their value and its place among all."""
    one, other = heat.order[row], heat.order[column]
    if one == other:
        return f"replica {heat.replicas[one]}, run {heat.runs[one]}: with itself"
    value = heat.find(row, column)
    below = bisect_left(heat.ranked, value)
    place = "as every two" if heat.ranked[0] == heat.ranked[-1] else f"more than {below} of {len(heat.ranked)} pairs"
    return (
        f"replicas {heat.replicas[one]} and {heat.replicas[other]}: {value:.3g} {heat.unit}, {place}; "
        f"runs {heat.runs[one]} and {heat.runs[other]}"
    )
