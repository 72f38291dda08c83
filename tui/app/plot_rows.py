"""Paints the rows of a plot that stands in a text: each curve in the colour of its arm."""

from __future__ import annotations

from rich.text import Text

from tui.app.schemes import arm_style
from tui.app.widgets.lines import Line
from tui.text.plot import Cell, Row


def paint_row(row: Row, theme: str) -> Line:
    """Return a row of a plot as a line, without blanks at its end.

    Args:
        row: Its cells.
        theme: The framework's name of the theme.
    """
    text = Text(no_wrap=True)
    for cell in row:
        text.append(cell.char, _style(cell, theme))
    text.rstrip()
    return Line(text)


def _style(cell: Cell, theme: str) -> str:
    return "" if cell.colour is None else str(arm_style(cell.colour, theme, strong=cell.strong))
