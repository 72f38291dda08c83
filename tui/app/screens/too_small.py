"""The notice in place of screens for which the terminal has no room."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static

MIN_COLUMNS, MIN_ROWS = 60, 15
"""What every screen has room in."""


class TooSmall(Screen[None]):
    """Stands in for screens that have no room."""

    def compose(self) -> ComposeResult:
        """Say what is needed, in as few words as fit."""
        yield Static(Text(f"too small\nneeds {MIN_COLUMNS}x{MIN_ROWS}\nruns go on"), id="small")
