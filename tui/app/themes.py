"""The looks of the app: themes of the framework that are our own."""

from __future__ import annotations

from textual.theme import Theme

from tui.app.schemes import SCHEMES

THEMES = (
    Theme(
        name=SCHEMES["dark"].theme,
        primary="#6cb6ff",
        secondary="#3d6ea8",
        accent="#f0b35c",
        warning="#f0b35c",
        error="#f47067",
        success="#57c78a",
        foreground="#d5dbe3",
        background="#11151b",
        surface="#171c24",
        panel="#1e2530",
        variables={"footer-key-foreground": "#f0b35c"},
    ),
    Theme(
        name=SCHEMES["light"].theme,
        primary="#0b5cad",
        secondary="#5b86b3",
        accent="#9a5b00",
        warning="#9a5b00",
        error="#b3261e",
        success="#1b7a43",
        foreground="#1d232b",
        background="#fbfaf7",
        surface="#f2f0eb",
        panel="#e6e3dc",
        dark=False,
        variables={"footer-key-foreground": "#9a5b00"},
    ),
    Theme(
        name=SCHEMES["contrast"].theme,
        primary="#ffd700",
        secondary="#ffffff",
        accent="#ffd700",
        warning="#ffd700",
        error="#ff6b6b",
        success="#5cff8f",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#262626",
        text_alpha=1.0,
        variables={"footer-key-foreground": "#ffd700"},
    ),
)
"""Quiet grounds, borders that can be seen, and one warm colour for keys; the arms' colours are in `tui.app.schemes`."""
