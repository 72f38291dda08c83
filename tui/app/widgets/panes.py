"""Widgets that draw themselves from attributes which their screen binds: `data_bind` brings every change of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events

from tui.app.widgets.lines import Line, LinesView
from tui.app.widgets.plotview import PlotView
from tui.app.widgets.titles import TextLine


def redraw_on_change(widget: TextLine | LinesView | PlotView, names: Sequence[str], redraw: Callable[[], None]) -> None:
    """Call `redraw` now, and whenever one of the widget's attributes or the theme changes.

    Args:
        widget: Whose attributes are watched.
        names: The attributes; each is a `var`.
        redraw: Draws the widget again; it sends nothing to the terminal where the result is the same.
    """
    for name in names:
        widget.watch(widget, name, redraw, init=False)
    widget.watch(widget.app, "theme", redraw)


class TextPane(TextLine):
    """Shows one line of text that is made of bound attributes."""

    SHOWS: ClassVar[tuple[str, ...]] = ()
    """The attributes that the text depends on."""

    def on_mount(self) -> None:
        """Show the text, and follow what it depends on."""
        redraw_on_change(self, self.SHOWS, self.redraw)

    def redraw(self) -> None:
        """Show the text as it is now."""
        self.show(self.make_text())

    def make_text(self) -> Text:
        """Make the text from the bound attributes."""
        raise NotImplementedError


class LinesPane(LinesView):
    """Shows lines that are made of bound attributes and of the width at hand."""

    SHOWS: ClassVar[tuple[str, ...]] = ()
    """The attributes that the lines depend on."""

    def on_mount(self) -> None:
        """Show the lines, and follow what they depend on."""
        redraw_on_change(self, self.SHOWS, self.redraw)

    def on_resize(self, event: events.Resize) -> None:
        """Lay the lines out for another width."""
        self.redraw()

    def redraw(self) -> None:
        """Show the lines as they are now."""
        lines = self.make_lines(self.size.width)
        if len(lines) > self.size.height:  # a scrollbar will stand beside them
            lines = self.make_lines(self.size.width - self.styles.scrollbar_size_vertical)
        self.set_lines(lines)

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the bound attributes.

        Args:
            width: Columns at hand.
        """
        raise NotImplementedError
