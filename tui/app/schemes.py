"""Themes and the colours that arms have under each: the one place that names them."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style
from textual.color import Color

from engine.catalog.arm_marks import Ground, find_colour


@dataclass(frozen=True)
class Scheme:
    """Names a theme of the framework, and what lies behind an arm's colours under it."""

    theme: str
    ground: Ground


SCHEMES = {
    "dark": Scheme("nondet-dark", "dark"),
    "light": Scheme("nondet-light", "light"),
    "contrast": Scheme("nondet-contrast", "dark"),
    "ansi": Scheme("ansi-dark", "ansi"),
}
"""By the name that the settings have for them; a theme of any other name has the colours of "dark"."""

GROUNDS: dict[str, Ground] = {scheme.theme: scheme.ground for scheme in SCHEMES.values()}


def choose_theme(setting: str, *, few_colours: bool) -> str:
    """Return the framework's name of the theme to begin with.

    Args:
        setting: The user's choice, a key of SCHEMES or "auto".
        few_colours: Whether the terminal has sixteen colours at most, which "auto" goes by.
    """
    automatic = "ansi" if few_colours else "dark"
    return SCHEMES.get(setting, SCHEMES[automatic]).theme


def name_theme(theme: str) -> str:
    """Return what the settings call a theme of the framework; its own name where it is none of ours."""
    return next((name for name, scheme in SCHEMES.items() if scheme.theme == theme), theme)


def next_theme(theme: str) -> str:
    """Return the theme after another in the order of SCHEMES; the first after one that is not there."""
    names = list(GROUNDS)
    return names[(names.index(theme) + 1) % len(names) if theme in names else 0]


def arm_style(number: int, theme: str, *, strong: bool = True) -> Style:
    """Return the colour of an arm under a theme.

    Args:
        number: The arm's place in the protocol, from 0.
        theme: The framework's name of the theme.
        strong: Bold, as lines and names are; bands are dim.
    """
    colour = find_colour(number, GROUNDS.get(theme, SCHEMES["dark"].ground))
    return Style(color=colour, bold=strong or None, dim=None if strong else True)


def is_tinted(theme: str) -> bool:
    """Tell whether a theme has colours between those of arms and of the ground; sixteen colours have none."""
    return GROUNDS.get(theme) != "ansi"


def mix_arm_colour(number: int, theme: str, ground: str, share: float) -> str:
    """Return the colour of an arm mixed with that of the ground.

    Args:
        number: The arm's place in the protocol, from 0.
        theme: The framework's name of the theme, which has colours in between.
        ground: The colour of the ground.
        share: How much of the arm's colour there is, from 0 to 1.
    """
    colour = find_colour(number, GROUNDS.get(theme, SCHEMES["dark"].ground))
    return Color.parse(ground).blend(Color.parse(colour), share).hex6
