"""Fills the rest of a preview where there is room: the spread of a study by epoch, the file of a protocol."""

from __future__ import annotations

from rich.text import Text

from engine.catalog.measures import EPOCH_FIGURES
from tui.app.plot_rows import paint_row
from tui.app.previewed import StudyPreview
from tui.app.source_text import style_source
from tui.app.widgets.lines import Line
from tui.text.explanations import style_key
from tui.text.format import ASCII, UNICODE
from tui.text.plot import GlyphSet, draw_plot
from tui.text.scale import fit_scale, spans_decades
from tui.text.series import SPREAD_DECADES, make_spread_curves
from tui.text.tables import arm_name

LEAST_ROWS, MOST_ROWS = 10, 24
"""Rows that a picture is worth drawing in, its title included, and those that it has at most."""


NAME_SHARE, LONGEST_NAME = 4, 30
"""Names have one part in so many of the columns, and so many at most."""


def draw_spread(preview: StudyPreview, width: int, height: int, theme: str, glyphs: GlyphSet) -> list[Line]:
    """Draw how the spread of each arm goes by epoch; nothing where there is no room for it, or no spread.

    Args:
        preview: What was read of the study.
        width: Columns at hand.
        height: Rows at hand.
        theme: The framework's name of the theme.
        glyphs: What lines are made of.
    """
    places = {arm_name(arm): number for number, arm in enumerate(preview.arms)}
    places |= {arm.name: number for number, arm in enumerate(preview.arms)}
    room = min(LONGEST_NAME, width // NAME_SHARE)
    symbols = ASCII if glyphs == "ascii" else UNICODE
    curves = make_spread_curves(preview.spread, room, symbols, places=places)
    log = spans_decades(curves)
    scale = fit_scale(curves, log=log, decades=SPREAD_DECADES, from_zero=True)
    if scale is None or height < LEAST_ROWS:
        return []
    rows = draw_plot(curves, scale, width, min(height, MOST_ROWS) - 1, glyphs=glyphs, marks=True)
    title = f"SD of {EPOCH_FIGURES[preview.figure]}, by epoch" + (" (log)" if log else "")
    head = Text(title, "bold", no_wrap=True)
    head.stylize(style_key("spread"))
    return [Line(head), *(paint_row(row, theme) for row in rows)]


def show_file(text: str) -> list[Line]:
    """Show what the file of a protocol says."""
    return [Line(style_source(row)) for row in text.splitlines()]
