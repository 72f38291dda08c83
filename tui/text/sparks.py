"""Draws a few figures as one row of bars, each as high as its figure: ▁▃▅▇."""

from __future__ import annotations

from collections.abc import Sequence

from tui.text.format import ASCII, UNICODE, Symbols

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=*#"


def draw_spark(
    values: Sequence[float],
    width: int,
    symbols: Symbols = UNICODE,
    *,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """Draw figures in at most `width` characters; of more figures than that, as many that lie evenly apart.

    Args:
        values: All finite.
        width: Characters.
        symbols: What can be shown.
        low: What the lowest bar stands for; None takes the least figure.
        high: What the highest one stands for; None takes the largest.
    """
    if width < 1 or not values:
        return ""
    count = min(width, len(values))
    last = len(values) - 1
    chosen = [values[round(place * last / max(1, count - 1))] for place in range(count)] if count > 1 else [values[-1]]
    bars = ASCII_BARS if symbols is ASCII else BARS
    bottom = min(chosen) if low is None else low
    top = max(chosen) if high is None else high
    span = top - bottom
    heights = [(value - bottom) / span if span > 0 else 0.0 for value in chosen]
    return "".join(bars[max(0, min(len(bars) - 1, int(height * len(bars))))] for height in heights)
