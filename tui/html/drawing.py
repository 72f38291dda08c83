"""Draws with SVG: elements whose text cannot become markup, scales, axes, and the marks of arms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from engine.catalog.arm_marks import COLOURS, find_mark
from engine.protocol.faults import printable
from tui.text.plot import format_tick, log_ticks, ticks

CHARACTER = 6.3
"""Mean width of a character at the size of a picture's text."""

LEFT_TICKS = 5
"""Ticks of an axis at the left, about."""

SHAPES = {
    "o": ((0.0, 1.0), (0.0, 0.0)),
    "^": ((-1.05, 0.85), (0.0, -1.1), (1.05, 0.85)),
    "v": ((-1.05, -0.85), (0.0, 1.1), (1.05, -0.85)),
    "s": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "D": ((-1.2, 0.0), (0.0, -1.2), (1.2, 0.0), (0.0, 1.2)),
    "*": tuple(
        (size * math.sin(corner * math.pi / 5), -size * math.cos(corner * math.pi / 5))
        for corner in range(10)
        for size in (1.35 if corner % 2 == 0 else 0.6,)
    ),
}
"""Corners of the marks of `engine.catalog.arm_marks`, of about radius 1; a circle has none that count."""


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """Make an element; what is no `Markup` is escaped, numbers are rounded, attributes that are None are left out.

    Args:
        name: Of the element.
        children: Texts and elements.
        attributes: An underscore stands for a hyphen, one at the end for nothing.
    """
    said = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _show(value))
        for key, value in attributes.items()
        if value is not None
    )
    content = Markup("").join(child if isinstance(child, Markup) else escape(clean(str(child))) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), said, content)


def _show(value: object) -> str:
    return show_place(value) if isinstance(value, float) else clean(str(value))


def show_place(value: float) -> str:
    """Return a place in a picture with one decimal, or none where that is 0."""
    text = f"{value:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")


def clean(text: str) -> str:
    """Return a text without characters that XML does not know or that turn the direction of others around."""
    if text.isprintable():
        return text
    return "".join(char if char in "\n\t" else printable(char) for char in text)


def colour_class(number: int) -> str:
    """Return the class that gives an arm its colour on either ground, by its place in the protocol from 0."""
    return f"c{number % len(COLOURS)}"


def draw_mark(number: int, x: float, y: float, radius: float = 3.6) -> Markup:
    """Draw an arm's mark in the present colour."""
    mark = find_mark(number)
    style: dict[str, object] = {"class_": "mark" if mark.filled else "mark hollow"}
    if mark.marker == "o":
        return tag("circle", cx=x, cy=y, r=radius, **style)
    corners = " ".join(f"{show_place(x + a * radius)},{show_place(y + b * radius)}" for a, b in SHAPES[mark.marker])
    return tag("polygon", points=corners, **style)


LARGEST, SMALLEST = 1e300, 1e-300
"""Sizes beyond which figures, which a file from others may hold, would leave no axis that can be computed."""


def tame(value: float) -> float:
    """Return a finite value within the sizes that an axis can have; a smaller one counts as 0."""
    return 0.0 if abs(value) < SMALLEST else min(LARGEST, max(-LARGEST, value))


@dataclass(frozen=True)
class Scale:
    """Maps values to places along an axis."""

    low: float
    high: float
    start: float
    """Place of the lowest value."""
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return the place of a value; one outside of the axis lies at its end."""
        low, high, here = self.low, self.high, tame(value)
        if self.log:
            if here <= 0:
                return self.start
            low, high, here = math.log10(low), math.log10(high), math.log10(here)
        share = (here - low) / (high - low) if high > low else 0.5
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))

    def ticks(self, count: int) -> list[float]:
        """Return round values for about so many marks."""
        return log_ticks(self.low, self.high, count) if self.log else ticks(self.low, self.high, count)


def fit_range(values: Sequence[float], *, zero: bool, bounds: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return the ends of an axis that holds some values with a little room.

    Args:
        values: Finite ones; at least one.
        zero: Whether 0 is on the axis.
        bounds: What no value can lie outside of.
    """
    low, high = min(values), max(values)
    if zero:
        low, high = min(0.0, low), max(0.0, high)
    room = 0.04 * (high - low) or abs(high) * 0.05 or 1.0
    low, high = (low if zero and low == 0 else low - room), (high if zero and high == 0 else high + room)
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return (low, high) if high > low else (low - room, high + room)


def draw_bottom_axis(
    scale: Scale, top: float, bottom: float, title: str, *, count: int = 4, whole: bool = False
) -> list[Markup]:
    """Draw an axis below a picture, with faint lines up through it, and its title; `whole` with whole numbers only."""
    parts: list[Markup] = []
    for value in [value for value in scale.ticks(count) if not whole or value == int(value)]:
        x = scale.place(value)
        parts.append(tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="grid"))
        parts.append(tag("text", format_tick(value), x=x, y=bottom + 14, class_="tick", text_anchor="middle"))
    parts.append(tag("line", x1=scale.start, x2=scale.end, y1=bottom, y2=bottom, class_="axis"))
    middle = (scale.start + scale.end) / 2
    parts.append(tag("text", title, x=middle, y=bottom + 29, class_="label", text_anchor="middle"))
    return parts


def draw_left_axis(scale: Scale, left: float, right: float) -> list[Markup]:
    """Draw an axis at the left of a picture, with faint lines through it."""
    parts: list[Markup] = []
    for value in scale.ticks(LEFT_TICKS):
        y = scale.place(value)
        parts.append(tag("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", format_tick(value), x=left - 6, y=y + 3.5, class_="tick", text_anchor="end"))
    parts.append(tag("line", x1=left, x2=left, y1=scale.start, y2=scale.end, class_="axis"))
    return parts


def picture(parts: Sequence[Markup], width: float, height: float, *, title: str, told: str) -> Markup:
    """Put parts into a picture that grows with the page.

    Args:
        parts: In the order in which they are drawn.
        width: Of the picture in its own units, about pixels.
        height: Likewise.
        title: What it shows, for whoever does not see it.
        told: What is to be seen on it, in words.
    """
    return tag(
        "svg",
        tag("title", title),
        tag("desc", told),
        *parts,
        viewBox=f"0 0 {show_place(width)} {show_place(height)}",
        role="img",
        class_="picture",
    )


def draw_share(share: float) -> Markup:
    """Draw a share of 0 to 1 as a bar; it says nothing that does not stand beside it as a number."""
    width = 110.0 * min(1.0, max(0.0, share))
    bar = tag("rect", x=0, y=0, width=width, height=10, class_="share")
    whole = tag("rect", x=0.5, y=0.5, width=109.5, height=9, class_="whole")
    return tag("svg", whole, bar, viewBox="0 0 110 10", width=110, height=10, aria_hidden="true", class_="bar")
