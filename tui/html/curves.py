"""Draws figures over epochs: spread and mean of every epoch, and measures against the onset."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from engine.protocol.faults import printable
from engine.study.instability import SpreadSeries
from engine.study.metrics_record import ArmMeasures
from tui.html.drawing import (
    Scale,
    colour_class,
    draw_bottom_axis,
    draw_left_axis,
    draw_mark,
    fit_range,
    picture,
    show_place,
    tag,
    tame,
)
from tui.text.format import UNICODE
from tui.text.growth import GrowthFamily, format_size
from tui.text.tables import Column

WIDTH, HEIGHT = 480.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 16.0, 10.0, 38.0

MOST_POINTS = 240
"""Points of a line; of more epochs a part is drawn, which no eye can tell."""

MOST_BANDS = 12
"""Arms whose bands are drawn: of more none could be told from the others."""

Point = tuple[float, float]


class Line(NamedTuple):
    """One line of a plot over epochs."""

    number: int
    """Place of its arm in the protocol."""
    name: str
    points: Sequence[Point]
    band: Sequence[tuple[float, float, float]] = ()
    """Epoch, lower and upper end of what lies around the line."""
    told: str = ""


def thin(count: int) -> list[int]:
    """Return which of many points are drawn: evenly spaced ones, the first and the last among them."""
    if count <= MOST_POINTS:
        return list(range(count))
    return sorted({round(place * (count - 1) / (MOST_POINTS - 1)) for place in range(MOST_POINTS)})


def list_spreads(series: Sequence[SpreadSeries], names: Mapping[int, str]) -> list[Line]:
    """Return the SD over replicas of every arm."""
    return [
        Line(
            one.number,
            names[one.number],
            [(float(one.epochs[place]), one.sd[place]) for place in thin(len(one.epochs))],
            told=f"{one.sd[-1]:.3g} at epoch {one.epochs[-1]}, {max(one.sd, default=0):.3g} at most",
        )
        for one in series
    ]


def list_means(series: Sequence[SpreadSeries], names: Mapping[int, str]) -> list[Line]:
    """Return the mean over replicas of every arm, with the middle 95 % around it unless there are many."""
    lines: list[Line] = []
    for one in series:
        places = thin(len(one.epochs))
        points = [(float(one.epochs[place]), one.mean[place]) for place in places]
        banded = places if len(series) <= MOST_BANDS else []
        band = [(float(one.epochs[place]), one.low[place], one.high[place]) for place in banded]
        told = f"{one.mean[-1]:.4g} at epoch {one.epochs[-1]}"
        lines.append(Line(one.number, names[one.number], points, band, told))
    return lines


def list_growth_lines(family: GrowthFamily) -> list[Line]:
    """Return the distance of the weights by step of every arm of a family, from the step on before which it is made."""
    lines: list[Line] = []
    for number, arm, growth in family.arms:
        points = [
            (float(growth.start + step), value)
            for step, value in zip(growth.steps, growth.mean, strict=True)
            if value is not None
        ]
        told = f"{format_size(growth.size, 2)} at first, {format_size(growth.distance, 2)} at the end"
        lines.append(Line(number, printable(arm.name), points, told=told))
    return lines


def draw_lines(lines: Sequence[Line], title: str, *, below: str = "epoch", log: bool = False) -> Markup:
    """Draw lines over epochs, each in its arm's colour with its mark at the end.

    Args:
        lines: At least one point in all.
        title: What is drawn, with its unit.
        below: The title of the lower axis.
        log: Use a logarithmic axis; values of 0 lie on its lower edge.
    """
    values = [tame(y) for line in lines for _, y in line.points if math.isfinite(y)]
    values += [tame(end) for line in lines for _, *ends in line.band for end in ends if math.isfinite(end)]
    epochs = [x for line in lines for x, _ in line.points] or [0.0]
    across = Scale(min(epochs), max(*epochs, min(epochs) + 1), LEFT, WIDTH - RIGHT)
    low, high, log = _fit(values, log=log)
    up = Scale(low, high, HEIGHT - BOTTOM, TOP, log)
    parts = [
        *draw_left_axis(up, LEFT, WIDTH - RIGHT),
        *draw_bottom_axis(across, TOP, HEIGHT - BOTTOM, below, count=6, whole=True),
    ]
    parts += [_draw_band(line, across, up) for line in lines if line.band]
    parts += [_draw_line(line, across, up) for line in lines]
    told = "; ".join(f"{line.name}: {line.told}" for line in lines)
    return picture(parts, WIDTH, HEIGHT, title=title, told=told)


def _fit(values: Sequence[float], *, log: bool) -> tuple[float, float, bool]:
    """Return the ends of the axis; one that is to be logarithmic is not where nothing is above 0."""
    above = [value for value in values if value > 0]
    if log and above:
        low, high = min(above), max(above)
        return (low / 1.3, high * 1.3, True) if low < high else (low / 3, high * 3, True)
    return (*fit_range(values or [0.0], zero=log), False)


def _draw_line(line: Line, across: Scale, up: Scale) -> Markup:
    places = [(across.place(x), up.place(y)) if math.isfinite(y) else None for x, y in line.points]
    parts = [tag("title", f"{line.name}: {line.told}"), tag("path", d=join_places(places), class_="line")]
    last = next((place for place in reversed(places) if place is not None), None)
    if last is not None:
        parts.append(draw_mark(line.number, *last))
    return tag("g", *parts, class_=f"series s{line.number} {colour_class(line.number)}")


def join_places(places: Sequence[Point | None]) -> str:
    """Return a path through places, broken where one is missing."""
    parts: list[str] = []
    pen = "M"
    for place in places:
        if place is None:
            pen = "M"
            continue
        parts.append(f"{pen}{show_place(place[0])} {show_place(place[1])}")
        pen = "L"
    return "".join(parts)


def _draw_band(line: Line, across: Scale, up: Scale) -> Markup:
    known = [ends for ends in line.band if all(map(math.isfinite, ends))]
    there = [(across.place(x), up.place(high)) for x, _, high in known]
    back = [(across.place(x), up.place(low)) for x, low, _ in reversed(known)]
    path = join_places([*there, *back])
    band = tag("path", d=f"{path}Z" if path else "", class_="band")
    return tag("g", band, class_=f"series s{line.number} {colour_class(line.number)}")


def list_onsets(
    families: Mapping[str, Sequence[ArmMeasures]], column: Column, numbers: Mapping[str, int]
) -> list[Line]:
    """Return a measure against the epoch in which sources begin to differ, with its intervals, a line per family.

    Args:
        families: Arms that differ in their onset alone, under the name that they share.
        column: The measure.
        numbers: Arm → its place in the protocol; a family has the colour of its first arm.
    """
    lines: list[Line] = []
    for name, members in families.items():
        found = [(float(arm.onset or 0), arm.find(column.measure.key), arm) for arm in members]
        points = [(onset, one.value) for onset, one, _ in found if one.value is not None]
        band = [(onset, *one.interval) for onset, one, _ in found if one.value is not None and one.interval is not None]
        told = ", ".join(f"{column.format(arm, UNICODE)} at {onset:.0f}" for onset, _, arm in found)
        lines.append(Line(numbers[members[0].name], name, points, band, told))
    return lines
