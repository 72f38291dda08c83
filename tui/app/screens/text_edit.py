"""A small screen on top of others in which a text of several lines is changed, checked while it is typed."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from tui.app.screens.dialogs import Check, Confirm
from tui.app.widgets.owner import app_class

KEYS = "ctrl+s take over   Esc back"


class TextEdit(ModalScreen[str | None]):
    """Asks for a text; typing is never blocked, taking over what is wrong is."""

    app = getters.app(app_class)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "take", "Take over"),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self, title: str, text: str, *, check: Check) -> None:
        """Take the question.

        Args:
            title: What the text is.
            text: What it holds at first.
            check: Returns what is wrong with a text, or None.
        """
        super().__init__()
        self.heading, self.text, self.check = title, text, check

    def compose(self) -> ComposeResult:
        """Lay out title, text, and keys or fault."""
        with Vertical(classes="dialog tall"):
            yield Static(Text(self.heading, style="bold"))
            yield TextArea(self.text, soft_wrap=False, show_line_numbers=True, id="editor")
            yield Static(Text(KEYS, style="dim"), id="hint")

    @property
    def typed(self) -> str:
        """Return the text as it is now."""
        return self.query_one(TextArea).text

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Say what is wrong as soon as it is."""
        fault = self.check(self.typed)
        self.query_one("#hint", Static).update(Text(fault, style="bold red") if fault else Text(KEYS, style="dim"))

    def action_take(self) -> None:
        """Take the text over unless something is wrong with it."""
        if self.check(self.typed) is None:
            self.dismiss(self.typed)
        else:
            self.app.bell()

    def action_back(self) -> None:
        """Leave the text as it was; ask first where something would be lost."""
        if self.typed == self.text:
            self.dismiss(None)
            return

        def leave(yes: bool | None) -> None:
            if yes:
                self.dismiss(None)

        self.app.push_screen(Confirm("Leave the text as it was? The changes are lost."), leave)
