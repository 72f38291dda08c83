"""Styles the text of a protocol, wherever it is shown."""

from __future__ import annotations

from rich.text import Text

from engine.protocol.faults import printable


def style_source(row: str) -> Text:
    """Return a line of TOML with its headings and comments told apart."""
    text = Text(printable(row), no_wrap=True)
    if row.lstrip().startswith("#"):
        text.stylize("dim")
    elif row.lstrip().startswith("["):
        text.stylize("bold")
    return text
