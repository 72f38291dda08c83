"""Widgets that draw themselves from attributes which their screen binds: `data_bind` brings every change of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import BindingType

from tui.app.widgets.explained import EXPLAIN, Explained
from tui.app.widgets.lines import Line, LinesView
from tui.app.widgets.plotview import PlotView
from tui.app.widgets.titles import TextLine
from tui.text.explanations import list_keys


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


# The framework's own classes do not agree about names of arguments.
class LinesPane(LinesView, Explained):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Shows lines that are made of bound attributes and of the width at hand."""

    BINDINGS: ClassVar[list[BindingType]] = [EXPLAIN]

    SHOWS: ClassVar[tuple[str, ...]] = ()
    """The attributes that the lines depend on."""

    explains = False
    """Whether its lines were about something that can be explained when it was drawn last with the focus."""

    def on_mount(self) -> None:
        """Show the lines, and follow what they depend on."""
        redraw_on_change(self, self.SHOWS, self.redraw)

    def on_resize(self, event: events.Resize) -> None:
        """Lay the lines out for another width."""
        self.redraw()

    def list_explained(self) -> list[str]:
        """List the keys of the line under the cursor, then of those that belong to no other, then of the whole."""
        chosen = [line for line in self.lines if line.key is not None and line.key == self.key and self.has_cursor]
        others = [line for line in self.lines if line.key is None]
        keys = [key for line in (*chosen, *others) for key in list_keys(line.text)]
        return list(dict.fromkeys([*keys, *super().list_explained()]))

    def redraw(self) -> None:
        """Show the lines as they are now."""
        lines = self.make_lines(self.size.width)
        if len(lines) > self.size.height:  # a scrollbar will stand beside them
            lines = self.make_lines(self.size.width - self.styles.scrollbar_size_vertical)
        self.set_lines(lines)
        if self.has_focus and bool(self.list_explained()) != self.explains:  # keys follow the focus by themselves
            self.explains = not self.explains
            self.refresh_bindings()

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the bound attributes.

        Args:
            width: Columns at hand.
        """
        raise NotImplementedError
