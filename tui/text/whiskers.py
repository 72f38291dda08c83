"""Draws an estimate with its interval on an axis of a few characters: ├──●──┤."""

from __future__ import annotations

from collections.abc import Iterable

from engine.study.estimate import Estimate
from tui.text.format import UNICODE, Symbols

Axis = tuple[float, float]
"""The values at the left and the right end."""


ROOM = 3.0
"""How many times the largest value an axis reaches at most: beyond it intervals are cut, so that values stay apart."""


def fit_axis(estimates: Iterable[Estimate], *, zero: bool = True) -> Axis | None:
    """Return an axis that holds what there is; None where there is nothing.

    Args:
        estimates: Values and intervals.
        zero: Begin at zero, or at what lies below it, and cut intervals that reach far beyond all values; otherwise
            the axis begins and ends with the intervals.
    """
    known = [one for one in estimates if one.value is not None]
    ends = [end for one in known for end in (one.value or 0.0, *(one.interval or ()))]
    if not ends:
        return None
    if not zero:
        low, high = min(ends), max(ends)
        margin = (high - low) / 20 or abs(low) / 20 or 1.0
        return low - margin, high + margin
    low, high = min(0.0, *ends), max(0.0, *ends)
    most = max(one.value or 0.0 for one in known)
    high = min(high, ROOM * most) if most > 0 else high
    return (low, high) if high > low else (low, low + 1.0)


def draw_interval(
    estimate: Estimate, axis: Axis, width: int, symbols: Symbols = UNICODE, *, dot: str | None = None
) -> str:
    """Draw one estimate; nothing where it has no value.

    Args:
        estimate: Its value is a dot, its interval the line around it.
        axis: What the first and the last character stand for.
        width: Characters.
        symbols: What the stream can show.
        dot: The character of the value; None for the usual one.

    Returns:
        A text of exactly that width.
    """
    if estimate.value is None:
        return " " * width
    cells = [" "] * width
    low, high = estimate.interval or (estimate.value, estimate.value)
    first, place, last = (find_place(end, axis, width) for end in (low, estimate.value, high))
    for column in range(first, last + 1):
        cells[column] = symbols.bar_rest
    if first < last:
        cells[first] = symbols.whiskers[0] if low >= axis[0] else symbols.beyond[0]
        cells[last] = symbols.whiskers[1] if high <= axis[1] else symbols.beyond[1]
    cells[place] = dot or symbols.dot
    return "".join(cells)


def find_place(value: float, axis: Axis, width: int) -> int:
    """Return the character at which a value lies; that of the nearest end where it is outside."""
    low, high = axis
    inside = min(high, max(low, value))  # far outside of a tiny axis a share of it is infinite
    return min(width - 1, max(0, round((inside - low) / (high - low) * (width - 1))))
