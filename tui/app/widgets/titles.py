"""Lines of text that are drawn again only when they say something else: bytes matter over SSH."""

from __future__ import annotations

from rich.text import Text
from textual import getters
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Footer, Static
from textual.widgets._footer import FooterKey  # the framework names no public way to a key in a footer

from tui.app.widgets.owner import app_class


class TextLine(Static):
    """Shows one line of fixed height."""

    app = getters.app(app_class)

    shown: Text | None = None

    def show(self, text: Text) -> None:
        """Show a text; the same one again costs nothing."""
        if self.shown is None or text != self.shown or text.spans != self.shown.spans or text.style != self.shown.style:
            self.shown = text
            self.update(text, layout=False)


class Keys(Footer):
    """Shows the keys of what has the focus; help keeps its place at the right, however little room there is."""

    def __init__(self) -> None:
        """Leave out the palette of actions, which the help names."""
        super().__init__(show_command_palette=False)

    def compose(self) -> ComposeResult:
        """Make the framework's own keys, and help beside them."""
        yield from super().compose()
        yield FooterKey("question_mark", "?", "Help", "app.keys", classes="-command-palette")


def set_border_title(widget: Widget, title: str) -> None:
    """Name a box; the same name again costs nothing."""
    if widget.border_title != title:
        widget.border_title = title
