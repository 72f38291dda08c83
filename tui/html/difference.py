"""Draws the intervals of a difference of two arms, a row each, against 0 and against the margin."""

from __future__ import annotations

from markupsafe import Markup

from engine.study.comparison_record import Comparison
from tui.html.drawing import Scale, draw_bottom_axis, draw_mark, picture, tag
from tui.text.arms_compared import IntervalRow, count_places, list_intervals, show_ends, unit_of
from tui.text.difference_forest import fit_difference

WIDTH = 640.0
NAMES, ENDS = 112.0, 128.0
"""Room for what an interval promises, and for its ends."""

ROW, TOP, BOTTOM = 24.0, 20.0, 34.0


def draw_difference(found: Comparison, title: str) -> Markup:
    """Draw the difference with the intervals that there are.

    Args:
        found: What was compared.
        title: Of the axis.
    """
    rows, places = list_intervals(found), count_places(found)
    bottom = TOP + ROW * len(rows)
    scale = Scale(*fit_difference(found), NAMES + 8, WIDTH - ENDS)
    parts: list[Markup] = []
    if found.margin is not None:
        left, right = scale.place(-found.margin), scale.place(found.margin)
        parts.append(tag("rect", x=left, y=TOP, width=right - left, height=bottom - TOP, class_="band"))
        for x, sign in ((left, "−"), (right, "+")):
            parts.append(tag("line", x1=x, x2=x, y1=TOP, y2=bottom, class_="equal"))
            said = f"{sign}{found.margin:g}"
            parts.append(tag("text", said, x=x, y=TOP - 6, class_="tick", text_anchor="middle"))
    parts += draw_bottom_axis(scale, TOP, bottom, title)
    zero = scale.place(0.0)
    parts.append(tag("line", x1=zero, x2=zero, y1=TOP, y2=bottom, class_="axis"))
    parts += [_draw_row(found, row, scale, TOP + ROW * (place + 0.5), places) for place, row in enumerate(rows)]
    told = "; ".join(f"{row.name}: {show_ends(row.ends, places)}" for row in rows)
    margin = "" if found.margin is None else f"; margin {found.margin:g}"
    return picture(parts, WIDTH, bottom + BOTTOM, title=title, told=f"{told}{margin}")


def _draw_row(found: Comparison, row: IntervalRow, scale: Scale, y: float, places: int) -> Markup:
    ends = show_ends(row.ends, places)
    value = f"{found.difference:+.{places}f}{unit_of(found)}"
    parts = [
        tag("title", f"{row.name}: {value} {ends}"),
        tag("text", row.name, x=0, y=y + 4, class_="name"),
        tag("text", ends, x=WIDTH - ENDS + 10, y=y + 4, class_="name"),
    ]
    if row.ends is not None:
        low, high = map(scale.place, row.ends)
        parts.append(tag("line", x1=low, x2=high, y1=y, y2=y, class_="whisker"))
        parts += [tag("line", x1=x, x2=x, y1=y - 4, y2=y + 4, class_="whisker") for x in (low, high)]
        parts.append(draw_mark(0, scale.place(found.difference), y))
    return tag("g", *parts, class_="row")
