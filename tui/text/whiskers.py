"""Draws an estimate with its interval on an axis of a few characters: ├──●──┤."""

from __future__ import annotations

from collections.abc import Iterable

from engine.study.metrics_record import Estimate
from tui.text.format import UNICODE, Symbols

Axis = tuple[float, float]
"""The values at the left and the right end."""


def fit_axis(estimates: Iterable[Estimate]) -> Axis | None:
    """Return an axis from zero, or from what lies below it, that holds all there is; None where there is nothing."""
    ends = [end for one in estimates if one.value is not None for end in (one.value, *(one.interval or ()))]
    if not ends:
        return None
    low, high = min(0.0, *ends), max(0.0, *ends)
    return (low, high) if high > low else (low, low + 1.0)


def draw_interval(estimate: Estimate, axis: Axis, width: int, symbols: Symbols = UNICODE) -> str:
    """Draw one estimate; nothing where it has no value.

    Args:
        estimate: Its value is a dot, its interval the line around it.
        axis: What the first and the last character stand for.
        width: Characters.
        symbols: What the stream can show.

    Returns:
        A text of exactly that width.
    """
    if estimate.value is None:
        return " " * width
    cells = [" "] * width
    low, high = estimate.interval or (estimate.value, estimate.value)
    first, dot, last = (_place(end, axis, width) for end in (low, estimate.value, high))
    for column in range(first, last + 1):
        cells[column] = symbols.bar_rest
    if first < last:
        cells[first], cells[last] = symbols.whiskers
    cells[dot] = symbols.dot
    return "".join(cells)


def _place(value: float, axis: Axis, width: int) -> int:
    low, high = axis
    return min(width - 1, max(0, round((value - low) / (high - low) * (width - 1))))
