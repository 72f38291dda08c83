"""The field above a list that letters are typed into."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from tui.app.widgets.lines import LinesView


class Filter(Input):
    """Takes letters that lines must hold; arrows move in the lines meanwhile."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Down", show=False),
        Binding("up", "move(-1)", "Up", show=False),
    ]

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__(placeholder="filter: letters in their order")

    def action_move(self, step: int) -> None:
        """Go a line on, or back, in the lines of the same screen."""
        view = self.screen.query_one("#choices", LinesView)
        (view.action_cursor_down if step > 0 else view.action_cursor_up)()
