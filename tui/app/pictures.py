"""Draws the screen as an SVG that looks alike everywhere, and asks nothing of the network."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from textual.app import App

FONT = re.compile(r"@font-face \{[^}]*\}\s*", re.DOTALL)
"""Textual's picture fetches its font from another computer."""

FAMILY = "DejaVu Sans Mono, Menlo, Consolas"


def draw_picture(app: App[None]) -> str:
    """Return the screen as SVG: the viewer's own monospaced font draws it, and blanks at an edge stay."""
    drawn = FONT.sub("", app.export_screenshot()).replace("Fira Code", FAMILY)
    # Several programs that show SVG take blanks away at the ends of a text, and what follows moves to the left.
    return drawn.replace("<text ", '<text xml:space="preserve" ')


def save_picture(app: App[None], folder: Path) -> Path:
    """Write the screen into a folder, which is made, and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"nondet-tui_{datetime.now():%Y-%m-%dT%H_%M_%S_%f}.svg"
    file.write_text(draw_picture(app), encoding="utf-8")
    return file
