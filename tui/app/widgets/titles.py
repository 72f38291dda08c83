"""Lines of text that are drawn again only when they say something else: bytes matter over SSH."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text
from textual import events, getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
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


TITLE_FRAME = 8
"""Columns of a frame beside a title: its corners and lines, the digit of the pane, and a mark."""

KEY_FRAME = 3
"""Columns that a key at the foot takes beside its name and what it does."""


class Keys(Footer):
    """Shows the keys of what has the focus, as many as there is room for; help, which has all, is at the right."""

    app = getters.app(app_class)

    def __init__(self) -> None:
        """Leave out the palette of actions, which the help names."""
        super().__init__(show_command_palette=False)
        self.width = 0
        self.shown: list[tuple[str, str, bool]] = []

    def compose(self) -> ComposeResult:
        """Make the framework's own keys in their order, up to the first without room, and help beside them."""
        help_key = FooterKey("question_mark", "?", "Help", "app.keys", classes="-command-palette")
        room = self.app.size.width - len("▏") - _measure(help_key)
        for key in super().compose():
            room -= _measure(key) if isinstance(key, FooterKey) else 0
            if room < 0:
                break
            yield key
        yield help_key

    def bindings_changed(self, screen: Screen[Any]) -> None:
        """Make the keys anew where they are others: a widget for each takes time that is felt when a tab opens."""
        shown = [
            (binding.key, binding.description, enabled)
            for _, binding, enabled, _ in screen.active_bindings.values()
            if binding.show
        ]
        if shown != self.shown or not self.app.app_focus:
            self.shown = shown
            super().bindings_changed(screen)  # pyright: ignore[reportUnknownMemberType]

    def on_resize(self, event: events.Resize) -> None:
        """Choose again where there is another width."""
        if event.size.width != self.width:
            self.width = event.size.width
            self.call_after_refresh(self.recompose)


def _measure(key: FooterKey) -> int:
    return cell_len(key.key_display) + cell_len(key.description) + KEY_FRAME


NUMBERED = "numbered-"
"""Before the digit of a box, a class of its widget."""


def set_border_title(widget: Widget, title: str) -> None:
    """Name a box, behind its digit where it has one; the same name again costs nothing."""
    digit = next((name.removeprefix(NUMBERED) for name in widget.classes if name.startswith(NUMBERED)), "")
    title = f"{digit} {title}".strip()
    if widget.border_title != title:
        widget.border_title = title


def number_boxes(screen: Screen[Any], boxes: Sequence[str]) -> None:
    """Give boxes, by their ids, the digits from 1, and show these before what they are named by now."""
    for digit, name in enumerate(boxes, start=1):
        box, mark = screen.query_one(f"#{name}"), f"{NUMBERED}{digit}"
        if not box.has_class(mark):
            box.add_class(mark)
            set_border_title(box, str(box.border_title or ""))


GO_TO_PANE = "Go to the pane with this digit"


def list_digits(count: int) -> list[Binding]:
    """Return the keys that go to the boxes of a screen: `pane_at`, with the place of the box from 0."""
    return [Binding(str(place + 1), f"pane_at({place})", GO_TO_PANE, show=False) for place in range(count)]
