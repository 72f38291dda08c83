"""A small screen on top of others that asks for one line of a list, which letters narrow down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.app.widgets.filter import Filter
from tui.app.widgets.lines import Line, LinesView

NAME_COLUMNS = 20
"""What stands in the first columns of a line names it: letters found there count double."""


FRAME_ROWS = 7
"""Rows of the dialog beside its lines: frame, title, filter and keys."""


class Choose(ModalScreen[str | None]):
    """Asks for one of some lines, which letters in their order narrow down."""

    AUTO_FOCUS = ""
    """The lines are focused once they are there."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back"),
        Binding("slash", "filter", "Filter", key_display="/"),
    ]

    def __init__(
        self, title: str, choices: Sequence[tuple[str, str | Text]], *, chosen: str | None = None, head: str = ""
    ) -> None:
        """Take the question.

        Args:
            title: The question.
            choices: Pairs of a key and its line; a line without a key is a heading.
            chosen: The key that the cursor begins at.
            head: What stands above the lines, such as names of their columns.
        """
        super().__init__()
        self.heading, self.choices, self.chosen, self.head = title, choices, chosen, head

    def compose(self) -> ComposeResult:
        """Lay out title, filter and lines."""
        with Vertical(classes="dialog"):
            yield Static(Text(self.heading, style="bold"))
            yield Filter()
            if self.head:
                yield Static(Text(self.head, style="dim", no_wrap=True, overflow="ellipsis"))
            yield LinesView(name_id="choices")
            yield Static(Text("Enter choose   / filter   Esc back", style="dim"))

    def on_mount(self) -> None:
        """Fill in the lines."""
        self.query_one(Filter).display = False
        view = self.query_one(LinesView)
        self.show("")
        if self.chosen is not None:
            view.move_to(self.chosen)
        view.focus()

    def on_resize(self, event: events.Resize) -> None:
        """Make the list as high as its lines, where there is room."""
        room = event.size.height * 4 // 5 - FRAME_ROWS - bool(self.head)
        self.query_one(LinesView).styles.height = max(1, min(len(self.choices), room))

    def show(self, needle: str) -> None:
        """Show all lines with their headings, or those that hold some letters in their order, the best match first."""
        texts = [(key, line if isinstance(line, Text) else Text(line)) for key, line in self.choices]
        view = self.query_one(LinesView)
        if not needle:
            view.set_lines([Line(text, key) if key else Line(Text(text.plain, "bold")) for key, text in texts])
            return
        matcher = Matcher(needle)

        def rate(text: str) -> float:
            return max(matcher.match(text), 2 * matcher.match(text[:NAME_COLUMNS]))

        found = sorted(((rate(text.plain), Line(text, key)) for key, text in texts if key), key=lambda one: -one[0])
        lines = [line for score, line in found if score > 0]
        view.set_lines(lines or [Line(Text("nothing holds these letters in this order", "dim"))])
        view.action_first()

    def action_filter(self) -> None:
        """Ask for the letters."""
        field = self.query_one(Filter)
        field.display = True
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show fewer lines while it is typed."""
        self.show(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Choose the line under the cursor."""
        self.query_one(LinesView).action_choose()

    def action_back(self) -> None:
        """Show all lines again where they are narrowed down; else close without a choice."""
        field = self.query_one(Filter)
        if field.display:
            field.value, field.display = "", False
            self.query_one(LinesView).focus()
        else:
            self.dismiss(None)

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Close with the choice."""
        event.stop()
        self.dismiss(event.key)
