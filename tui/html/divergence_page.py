"""Makes the page about where two runs part and how their difference grows."""

from __future__ import annotations

from markupsafe import Markup

from engine.study.divergence_record import Divergence
from tui.html.curves import Line, draw_lines, thin
from tui.html.page import render_page
from tui.text.divergence import (
    TITLES,
    Told,
    choose_last,
    list_rates,
    list_reasons,
    list_repetition,
    make_rows,
    name_pair,
    say_axis,
    say_place,
)

NAMES = {"relative": "weights", "logits_relative": "logits"}
"""What is drawn → what it is the distance of."""


def draw_growth_picture(found: Divergence) -> Markup | None:
    """Draw how the difference grows by step on a logarithmic axis; None where there is none."""
    lines: list[Line] = []
    last = choose_last(found.growth)
    for number, (field, name) in enumerate(NAMES.items()):
        known = [
            (float(point.step), value)
            for point in found.growth
            if point.step <= last and (value := getattr(point, field))
        ]
        points = [known[place] for place in thin(len(known))]
        if points:
            lines.append(Line(number, name, points, told=f"{points[-1][1]:.2g} at step {points[-1][0]:.0f}"))
    if not lines:
        return None
    return draw_lines(lines, say_axis(found), below="steps behind the parting", log=True)


def make_divergence_page(told: Told) -> str:
    """Return the page as text; equal findings give equal text."""
    found = told.found
    contents = [("where", "Where they part")] + ([("growth", "How the difference grows")] if found.growth else [])
    return render_page(
        "divergence.html",
        f"{name_pair(found)}: where they part",
        contents,
        {
            "subject": name_pair(found),
            "place": say_place(found),
            "reasons": [*list_reasons(told), *list_repetition(told)],
            "picture": draw_growth_picture(found),
            "names": list(NAMES.values()),
            "titles": TITLES,
            "rows": make_rows(found, most=40),
            "rates": list_rates(found),
        },
    )
