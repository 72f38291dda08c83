"""Lines of text that are drawn again only when they say something else: bytes matter over SSH."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static


class TextLine(Static):
    """One line of fixed height."""

    shown: Text | None = None

    def show(self, text: Text) -> None:
        """Show a text; the same one again costs nothing."""
        if self.shown is None or text != self.shown or text.spans != self.shown.spans or text.style != self.shown.style:
            self.shown = text
            self.update(text, layout=False)


def set_border_title(widget: Widget, title: str) -> None:
    """Name a box; the same name again costs nothing."""
    if widget.border_title != title:
        widget.border_title = title
