"""Themes and the colours that arms have under each: the one place that names them."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style


@dataclass(frozen=True)
class Scheme:
    """Names a theme of the framework, and the palette that can be read on its ground."""

    theme: str
    palette: tuple[str, ...]
    """Okabe & Ito's colours for every kind of colour vision, or what sixteen colours have instead."""


SCHEMES = {
    "dark": Scheme(
        "textual-dark", ("#3b9bd9", "#e8743b", "#19b394", "#d98cb3", "#e6b23c", "#8fd0f0", "#b0b0b0", "#c8c832")
    ),
    "light": Scheme(
        "textual-light", ("#0072b2", "#d55e00", "#00785a", "#b05a8c", "#9c6a00", "#2a86b8", "#000000", "#7a7400")
    ),
    "ansi": Scheme("ansi-dark", ("blue", "red", "green", "magenta", "yellow", "cyan", "white", "bright_black")),
}
"""By the name that the settings have for them; a theme of any other name has the colours of "dark"."""

PALETTES = {scheme.theme: scheme.palette for scheme in SCHEMES.values()}


def choose_theme(setting: str, *, few_colours: bool) -> str:
    """Return the framework's name of the theme to begin with.

    Args:
        setting: The user's choice, a key of SCHEMES or "auto".
        few_colours: Whether the terminal has sixteen colours at most, which "auto" goes by.
    """
    automatic = "ansi" if few_colours else "dark"
    return SCHEMES.get(setting, SCHEMES[automatic]).theme


def next_theme(theme: str) -> str:
    """Return the theme after another in the order of SCHEMES; the first after one that is not there."""
    names = list(PALETTES)
    return names[(names.index(theme) + 1) % len(names) if theme in names else 0]


def arm_style(number: int, theme: str, *, strong: bool = True) -> Style:
    """Return the colour of an arm under a theme.

    Args:
        number: The arm's place in the protocol, from 0.
        theme: The framework's name of the theme.
        strong: Bold, as lines and names are; bands are dim.
    """
    palette = PALETTES.get(theme, SCHEMES["dark"].palette)
    return Style(color=palette[number % len(palette)], bold=strong or None, dim=None if strong else True)
