"""Draws the intervals of a difference below each other on one axis, against 0 and against the margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.study.comparison_record import Comparison
from engine.study.decision_record import DecisionRecord
from engine.study.estimate import Estimate, Interval
from tui.text.forest import draw_axis
from tui.text.format import UNICODE, Symbols
from tui.text.whiskers import Axis, draw_interval, find_place

MOST_ROOM = 90
"""Columns of the picture of a difference at most."""

LEAST_ROOM = 12
"""Columns that a picture needs."""

REACH = 2.5
"""How many times farther than the others the interval for looking, or the margin, may make the axis go."""

SIDE = 0.08
"""The share of the axis that is left free on either side."""


@dataclass(frozen=True)
class Guides:
    """The characters that mark where there is no difference, and where the margin lies."""

    zero: str
    margin: str


GUIDES = {True: Guides("┆", "┊"), False: Guides(":", ".")}
"""In Unicode and without."""


def fit_difference(found: Comparison) -> Axis:
    """Return an axis that holds 0, the intervals, and the margin as far as it is not far away."""
    return _fit(found.difference, [found.ci_test_set, found.ci_new_examples], found.ci_looking, found.margin)


def _fit(difference: float, near: Sequence[Interval | None], wide: Interval | None, margin: float | None) -> Axis:
    """Return an axis for intervals that have to be seen, one that may be cut, and a margin that may lie beyond."""
    ends = [end for one in near if one is not None for end in one] + [0.0, difference]
    low, high = min(ends), max(ends)
    width = (high - low) or 1.0
    far = list(wide or ())
    far += [] if margin is None else [-margin, margin]
    room = (REACH - 1) * width
    low, high = (
        min([low, *(end for end in far if end >= low - room)]),
        max([high, *(end for end in far if end <= high + room)]),
    )
    side = SIDE * (high - low or 1.0)
    return low - side, high + side


def draw_difference(
    found: Comparison, rows: Sequence[Interval | None], room: int, symbols: Symbols = UNICODE
) -> list[str]:
    """Draw a line per interval, then the axis and its numbers; nothing where there is no room.

    Args:
        found: Whose difference, margin and axis it is.
        rows: The intervals; None leaves a line empty.
        room: Columns.
        symbols: What can be shown.
    """
    if room < LEAST_ROOM:
        return []
    axis = fit_difference(found)
    estimates = [Estimate(None if ends is None else found.difference, interval=ends) for ends in rows]
    lines = [_draw_row(estimate, found.margin, axis, room, symbols) for estimate in estimates]
    return [*lines, *draw_axis(axis, room, symbols)]


def draw_decision(found: DecisionRecord, room: int, symbols: Symbols = UNICODE) -> list[str]:
    """Draw the interval that decided, then the axis and its numbers; nothing where there is no room."""
    if room < LEAST_ROOM:
        return []
    margin = found.settings.margin
    axis = _fit(found.difference, [found.interval], None, margin)
    row = _draw_row(Estimate(found.difference, interval=found.interval), margin, axis, room, symbols)
    return [row, *draw_axis(axis, room, symbols)]


def _draw_row(estimate: Estimate, margin: float | None, axis: Axis, room: int, symbols: Symbols) -> str:
    cells = list(draw_interval(estimate, axis, room, symbols))
    guides = GUIDES[symbols is UNICODE]
    marked = [(0.0, guides.zero)]
    marked += [] if margin is None else [(-margin, guides.margin), (margin, guides.margin)]
    for value, char in reversed(marked):
        place = find_place(value, axis, room)
        if axis[0] <= value <= axis[1] and cells[place] in (" ", symbols.bar_rest):
            cells[place] = char
    return "".join(cells)


def name_guides(margin: float | None, symbols: Symbols = UNICODE) -> str:
    """Say what the marks in the picture are."""
    guides = GUIDES[symbols is UNICODE]
    said = "" if margin is None else f"   {guides.margin} {symbols.plus_minus} {margin:g}, the margin"
    return f"{guides.zero} 0{said}"
