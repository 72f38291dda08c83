"""Tells arms apart wherever they are drawn, by a colour and a mark for each place in the protocol.

Screens, tables, figures and pages all take them from here. Colour is never alone: marks are for paper and terminals
without it, and for eyes that see no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ground = Literal["paper", "dark", "light", "ansi"]
"""What lies behind: white paper or page, a dark screen, a light screen, or a terminal of sixteen colours."""


@dataclass(frozen=True)
class Colour:
    """One colour of Okabe & Ito's palette, and what stands for it where the ground asks for another one."""

    name: str
    paper: str
    """As in the palette itself, "Color Universal Design", 2008: told apart with every kind of colour vision."""
    dark: str
    light: str
    ansi: str
    """The name of one of sixteen colours."""


@dataclass(frozen=True)
class Mark:
    """One shape, as character and as a marker of the figures."""

    char: str
    ascii: str
    marker: str
    """matplotlib's name of the shape."""
    filled: bool = True


COLOURS = (
    Colour("blue", "#0072B2", "#3b9bd9", "#0072b2", "blue"),
    Colour("vermilion", "#D55E00", "#e8743b", "#d55e00", "red"),
    Colour("green", "#009E73", "#19b394", "#00785a", "green"),
    Colour("purple", "#CC79A7", "#d98cb3", "#b05a8c", "magenta"),
    Colour("orange", "#E69F00", "#e6b23c", "#9c6a00", "yellow"),
    Colour("sky blue", "#56B4E9", "#8fd0f0", "#2a86b8", "cyan"),
    Colour("black", "#000000", "#b0b0b0", "#000000", "white"),
    Colour("yellow", "#F0E442", "#c8c832", "#7a7400", "bright_black"),
)

MARKS = (
    Mark("●", "o", "o"),
    Mark("▲", "^", "^"),
    Mark("■", "#", "s"),
    Mark("◆", "*", "D"),
    Mark("▼", "v", "v"),
    Mark("★", "+", "*"),
    Mark("○", "0", "o", filled=False),
    Mark("△", "A", "^", filled=False),
    Mark("□", "@", "s", filled=False),
    Mark("◇", "x", "D", filled=False),
    Mark("▽", "%", "v", filled=False),
)
"""Their number shares no factor with that of the colours: as many arms as the product of both differ in one of them."""


def find_colour(number: int, ground: Ground = "paper") -> str:
    """Return the colour of an arm.

    Args:
        number: The arm's place in the protocol, from 0.
        ground: What lies behind.
    """
    colour: str = getattr(COLOURS[number % len(COLOURS)], ground)
    return colour


def find_mark(number: int) -> Mark:
    """Return the mark of an arm by its place in the protocol, from 0."""
    return MARKS[number % len(MARKS)]


HATCHES = ("", "////", "....", "xxxx", "----")
"""Patterns of surfaces in matplotlib's words, where a mark has no place: of the first eight arms, the next, …"""


def find_hatch(number: int) -> str:
    """Return the pattern of an arm's surfaces by its place in the protocol, from 0; with its colour it is the arm's."""
    return HATCHES[number // len(COLOURS) % len(HATCHES)]
