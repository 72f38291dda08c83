"""Draws the figures of replicas on an axis, a line per arm: each replica a mark, several in one place their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tui.text.forest import draw_axis
from tui.text.format import UNICODE, Symbols
from tui.text.whiskers import Axis, find_place

MANY = "+"
"""Stands for ten replicas and more in one place."""


def draw_strips(arms: Sequence[tuple[str, Sequence[float]]], room: int, symbols: Symbols = UNICODE) -> list[str]:
    """Return a line per arm, then the axis and its numbers.

    Args:
        arms: The mark of each arm and the figures of its replicas, one or more.
        room: Columns, 2 or more.
        symbols: What can be shown.
    """
    every = [figure for _, figures in arms for figure in figures]
    low, high = min(every), max(every)
    side = (high - low) / 20 or abs(low) / 20 or 1.0
    axis = low - side, high + side
    lines = [_draw_strip(mark, figures, axis, room) for mark, figures in arms]
    return [*lines, *draw_axis(axis, room, symbols)]


def _draw_strip(mark: str, figures: Sequence[float], axis: Axis, room: int) -> str:
    counts = Counter(find_place(figure, axis, room) for figure in figures)
    cells = [" "] * room
    for place, count in counts.items():
        cells[place] = mark if count == 1 else str(count) if count < 10 else MANY
    return "".join(cells)
