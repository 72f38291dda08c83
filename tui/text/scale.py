"""The plane of a plot: the epochs and values that it shows, where a value lies on it, the numbers at its axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from tui.text.series import Curve

LOG_RATIO = 20.0
"""Positive values that differ by such a factor are shown on a logarithmic axis where nobody chose one."""

SMALLEST = 1e-300
"""What a logarithm takes of anything below."""

MAX_TICK = 7
"""Characters of a tick's number."""


@dataclass(frozen=True)
class Scale:
    """The part of the plane that is shown: a range of epochs and a range of values."""

    first: float
    last: float
    """Epochs at the left and the right edge."""
    low: float
    high: float
    log: bool = False
    below: str = ""
    """What a row of its own at the bottom stands for, where values lie that the axis cannot show: zeros on a
    logarithmic one."""

    def row(self, value: float, rows: int) -> float:
        """Return the distance of a value from the top, where the whole height counts as `rows`."""
        low, high, value = (self._move(v) for v in (self.low, self.high, value))
        return rows * (high - value) / (high - low) if high > low else rows / 2

    def _move(self, value: float) -> float:
        return math.log10(max(value, SMALLEST)) if self.log else value

    def value(self, row: float, rows: int) -> float:
        """Return the value at a distance from the top; the inverse of `row`."""
        low, high = self._move(self.low), self._move(self.high)
        moved = high - row / rows * (high - low)
        return 10**moved if self.log else moved

    def is_below(self, value: float) -> bool:
        """Tell whether a value lies on the row at the bottom."""
        return bool(self.below) and value < self.low

    def dot(self, value: float | None, rows: int, down: int) -> int | None:
        """Return the dot that shows a value, from the top; one outside is beyond the edges.

        Args:
            value: None, or one that is not finite or that a logarithm cannot show, is nowhere.
            rows: Rows of the plot, with the one at the bottom.
            down: Dots of a row.
        """
        if value is None or not math.isfinite(value):
            return None
        if self.is_below(value):
            return rows * down - (down + 1) // 2
        if self.log and value <= 0:
            return None
        dots = (rows - bool(self.below)) * down
        return math.floor(self.row(value, dots) * (dots - 1) / dots + 0.5)

    def dots(self, values: Iterable[float | None], rows: int, down: int) -> list[int | None]:
        """Find what `dot` returns for each of many values, in a fraction of the time."""
        if self.high <= self.low:
            return [self.dot(value, rows, down) for value in values]
        dots = (rows - bool(self.below)) * down
        bottom, least = rows * down - (down + 1) // 2, self.low if self.below else -math.inf
        low, high = self._move(self.low), self._move(self.high)
        span, log, isfinite, floor, log10 = high - low, self.log, math.isfinite, math.floor, math.log10
        found: list[int | None] = []
        for value in values:
            if value is None or not isfinite(value):
                found.append(None)
            elif value < least:
                found.append(bottom)
            elif not log:
                found.append(floor(dots * (high - value) / span * (dots - 1) / dots + 0.5))
            elif value > 0:
                found.append(floor(dots * (high - log10(max(value, SMALLEST))) / span * (dots - 1) / dots + 0.5))
            else:
                found.append(None)
        return found

    def zoom(self, factor: float, centre: float | None) -> Scale:
        """Return the scale of a part of the values around one of them, inside of what is shown now.

        Args:
            factor: How many times larger everything is.
            centre: The value that stays; None takes the middle.
        """
        if factor <= 1:
            return self
        low, high = self._move(self.low), self._move(self.high)
        known = centre is not None and math.isfinite(centre) and (centre > 0 or not self.log)
        middle = self._move(centre) if known and centre is not None else (low + high) / 2
        half = (high - low) / factor / 2
        middle = min(high - half, max(low + half, middle))
        low, high = (10**end if self.log else end for end in (middle - half, middle + half))
        return Scale(self.first, self.last, low, high, self.log)


def fit_scale(
    curves: Iterable[Curve],
    *,
    first: int = 1,
    last: int | None = None,
    log: bool = False,
    decades: int | None = None,
    from_zero: bool = False,
) -> Scale | None:
    """Return the scale that shows all curves between two epochs; None where there is nothing to show.

    Args:
        curves: What is shown.
        first: The epoch at the left edge.
        last: The one at the right edge; None takes the last that there is.
        log: Whether the axis is logarithmic.
        decades: How far that axis reaches below its largest value, with a row below for what is smaller; None for all.
        from_zero: Let a linear axis begin at 0, as sizes ask for.
    """
    curves = list(curves)
    longest = max((len(curve.middle) for curve in curves), default=0)
    last = max(first + 1, longest if last is None else last)
    values = _list_values(curves, slice(first - 1, last), whole=log)
    above = [value for value in values if value > 0 or not log]
    if not above:
        # A logarithm shows none of them. Spreads that are all 0 have their row; what lies below 0 has none.
        return Scale(first, last, 0.0, 1.0) if values and not any(values) else None
    low, high, below = min(above), max(above), ""
    if log:
        cut = 0.0 if decades is None else 10.0 ** math.floor(math.log10(high) - decades)
        below = "0" if any(value <= 0 for value in values) else ""
        if low < cut:
            low, below = min(value for value in above if value >= cut), f"<{cut:g}"
    elif from_zero:
        low = min(low, 0.0)
    if low == high == 0.0 and from_zero:
        high = 1.0  # sizes have no room below 0
    elif low == high:
        margin = abs(low) * 0.05 or 1.0
        low, high = (low / 1.2, high * 1.2) if log else (low - margin, high + margin)
    return Scale(first, last, low, high, log, below)


def spans_decades(curves: Iterable[Curve]) -> bool:
    """Tell whether the positive values of curves differ so much that a linear axis would hide most of them."""
    values = [value for value in _list_values(list(curves), slice(None), whole=True) if value > 0]
    return bool(values) and max(values) >= LOG_RATIO * min(values)


def _list_values(curves: list[Curve], part: slice, *, whole: bool) -> list[float]:
    """List the values of curves; of replicas only the ends of each line unless the `whole` of them matters."""
    lines: list[Sequence[float | None]] = [c.middle[part] for c in curves]
    for line in (one[part] for c in curves for one in c.replicas):
        lines.append(line if whole else _find_ends(line))
    values = [value for row in lines for value in row if value is not None]
    values += [end for c in curves for pair in c.outer[part] if pair is not None for end in pair]
    return [value for value in values if math.isfinite(value)]


def _find_ends(line: Sequence[float | None]) -> Sequence[float | None]:
    """Return the least and the largest value of a line; all of it where there are gaps."""
    try:
        known = cast("Sequence[float]", line)
        return (min(known), max(known)) if math.isfinite(sum(known)) and known else line
    except TypeError:
        return line


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return round numbers between two values: multiples of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or count < 1:
        return []
    step = 10 ** math.floor(math.log10((high - low) / count))
    step *= next((m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= count), 10)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Return the powers of ten between two values, with 2 and 5 times each where there is room for as many ticks."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high]
        if len(found) <= max(2, count):
            return found or ticks(low, high, count)
    return [10.0**d for d in list(decades)[:: max(1, len(decades) // max(1, count))] if low <= 10.0**d <= high]


def format_tick(value: float) -> str:
    """Return a tick's value as text that is short enough for the axis."""
    text = f"{value:.5g}"
    return text if len(text) <= MAX_TICK else f"{value:.1e}"
