"""Keeps text legible where colours have become greys: a red that is one of the darkest is a fault that nobody reads."""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

LEAST_CONTRAST = 4.5
"""Of bold text with its ground; source: WCAG 2.2, success criterion 1.4.3."""


@lru_cache(1024)
def lift(style: Style, ground: Color) -> Style:
    """Return a style whose bold text can be read on its ground: in black or white where its grey cannot."""
    if not style.bold or style.dim or style.color is None or style.color.is_default:
        return style
    own = ground if style.bgcolor is None or style.bgcolor.is_default else Color.from_rich_color(style.bgcolor)
    text = Color.from_rich_color(style.color)
    if compare(text, own) >= LEAST_CONTRAST:
        return style
    black, white = Color(0, 0, 0), Color(255, 255, 255)
    best = white if compare(white, own) >= compare(black, own) else black
    return style + Style(color=best.rich_color)


def compare(one: Color, other: Color) -> float:
    """Return the contrast of two colours, from 1 for equal ones to 21."""
    lights = sorted((measure_light(one), measure_light(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def measure_light(color: Color) -> float:
    """Return the relative luminance of a colour, from 0 to 1."""
    parts = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


class LegibleFilter(LineFilter):
    """Lifts bold text off its ground."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments of a row, those in bold so that they can be read."""
        return [
            segment
            if segment.style is None
            else Segment(segment.text, lift(segment.style, background), segment.control)
            for segment in segments
        ]
