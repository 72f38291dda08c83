"""Draws the estimates of one measure with their intervals, a row per arm, and what was published beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from engine.catalog.published import find_rows
from engine.study.estimate import Estimate
from engine.study.metrics_record import ArmMeasures
from tui.html.drawing import (
    CHARACTER,
    Scale,
    colour_class,
    draw_bottom_axis,
    draw_mark,
    fit_range,
    picture,
    tag,
    tame,
)
from tui.text.format import UNICODE, shorten_apart
from tui.text.tables import Column, arm_name

WIDTH = 380.0
ROW = 19.0
TOP, BOTTOM = 8.0, 34.0
MOST_NAME = 190.0

Numbered = tuple[int, ArmMeasures]
"""An arm with its place in the protocol, which is its colour and mark."""


@dataclass(frozen=True)
class Row:
    """One line of a forest plot."""

    number: int
    name: str
    estimate: Estimate
    told: str
    """The estimate as text."""
    published: tuple[float, ...] = ()


def list_rows(arms: Sequence[Numbered], column: Column, reference: str | None) -> list[Row]:
    """Return a row for each arm that has a value of a measure."""
    rows: list[Row] = []
    for number, arm in arms:
        found, name = arm.find(column.measure.key), arm_name(arm)
        if found.value is None or not math.isfinite(found.value):
            continue
        values = [row.figures.get(column.measure.key) for row in (find_rows(reference, name) if reference else ())]
        told = column.format(arm, UNICODE, wide=True)
        rows.append(Row(number, name, found, told, tuple(value for value in values if value is not None)))
    return rows


def draw_forest(rows: Sequence[Row], title: str, *, zero: bool, bounds: tuple[float, float] | None = None) -> Markup:
    """Draw rows below each other on one axis.

    Args:
        rows: At least one.
        title: Of the axis: the measure and its unit.
        zero: Whether the axis begins at 0.
        bounds: What no value can lie outside of.
    """
    ends = [end for row in rows for end in (row.estimate.value, *(row.estimate.interval or ()), *row.published)]
    finite = [tame(end) for end in ends if end is not None and math.isfinite(end)]
    low, high = fit_range(finite, zero=zero, bounds=bounds)
    name_room = min(MOST_NAME, max(len(row.name) for row in rows) * CHARACTER) + 18
    bottom = TOP + ROW * len(rows)
    scale = Scale(low, high, name_room + 4, WIDTH - 10)
    parts = draw_bottom_axis(scale, TOP, bottom, title)
    names = shorten_apart([row.name for row in rows], int((name_room - 16) / CHARACTER))
    for place, (row, name) in enumerate(zip(rows, names, strict=True)):
        parts.append(_draw_row(row, name, scale, TOP + ROW * (place + 0.5)))
    told = "; ".join(f"{row.name}: {row.told}" for row in rows)
    return picture(parts, WIDTH, bottom + BOTTOM, title=title, told=told)


def _draw_row(row: Row, name: str, scale: Scale, y: float) -> Markup:
    value = scale.place(row.estimate.value or 0.0)
    interval = row.estimate.interval
    parts = [
        tag("title", f"{row.name}: {row.told}"),
        draw_mark(row.number, 6.0, y),
        tag("text", name, x=15, y=y + 4, class_="name"),
        *(_draw_published(scale.place(one), y) for one in row.published),
    ]
    if interval is not None and all(map(math.isfinite, interval)) and interval[0] < interval[1]:
        low, high = map(scale.place, interval)
        parts.append(tag("line", x1=low, x2=high, y1=y, y2=y, class_="whisker"))
        parts += [tag("line", x1=x, x2=x, y1=y - 4, y2=y + 4, class_="whisker") for x in (low, high)]
    parts.append(draw_mark(row.number, value, y))
    return tag("g", *parts, class_=f"row series s{row.number} {colour_class(row.number)}")


def _draw_published(x: float, y: float) -> Markup:
    corners = ((0, -5.5), (4.5, 0), (0, 5.5), (-4.5, 0))
    return tag("polygon", points=" ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners), class_="published")
