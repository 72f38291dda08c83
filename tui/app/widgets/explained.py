"""Explains what a widget shows: under the mouse as a tooltip, under the cursor on a card; both say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.console import Group, RenderableType
from textual import events, getters
from textual.binding import Binding
from textual.widget import Widget

from tui.app.messages import ExplainWanted
from tui.app.widgets.owner import app_class
from tui.text.explanations import draw_apart, find_explanation, read_key

ROOMY_COLUMNS, ROOMY_ROWS = 100, 30
"""A smaller screen has no room for a text beside what it is about: there e alone explains."""


EXPLAIN = Binding("e", "explain", "Explain")
"""For the widgets to place among their keys."""


class Explained(Widget):
    """Finds what its parts are about by the keys in their styles."""

    app = getters.app(app_class)

    FRAME: ClassVar[str] = ""
    """The key of what the whole shows, explained by its frame's title; empty where it is nothing of its own."""

    pointed: str | None = None
    """The key of what is under the mouse."""

    def list_explained(self) -> list[str]:
        """List the keys of what a person asks about with the cursor where it is."""
        return [self.FRAME] if self.FRAME else []

    def draw_explained(self, keys: Sequence[str]) -> list[RenderableType]:
        """Draw the explanations behind some keys."""
        found = [find_explanation(key) for key in keys]
        return draw_apart(one for one in found if one is not None)

    def find_pointed(self, event: events.MouseMove) -> str | None:
        """Return the key of what is under the mouse."""
        if event.get_content_offset(self) is None:
            return self.FRAME if event.y == 0 and self.FRAME else None
        return read_key(event.style)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Take what is under the mouse for what the tooltip says; the framework shows it once the mouse rests."""
        roomy = self.app.size.width >= ROOMY_COLUMNS and self.app.size.height >= ROOMY_ROWS
        key = self.find_pointed(event) if roomy else None
        if key != self.pointed:
            self.pointed = key
            parts = [] if key is None else self.draw_explained([key])
            self.tooltip = Group(*parts) if parts else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to explain only where there is something to explain."""
        return super().check_action(action, parameters) if action != "explain" else bool(self.list_explained())

    def action_explain(self) -> None:
        """Explain what is under the cursor."""
        self.post_message(ExplainWanted(self.draw_explained(self.list_explained())))
