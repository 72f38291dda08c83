"""Reads the numbers that are typed on the command line, and says of one that is none what is allowed."""

from __future__ import annotations

import math
from collections.abc import Callable

from engine.errors import NondetError
from engine.protocol.faults import cut, printable

SHOWN = 60
"""Characters that are shown of what was typed."""


def read_number(option: str, text: str, allowed: str, accepts: Callable[[float], bool]) -> float:
    """Return a finite number.

    Args:
        option: Where it was typed.
        text: What was typed.
        allowed: What is allowed, in words.
        accepts: Tells whether a number is allowed.

    Raises:
        NondetError: If it is none, or is not allowed.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not accepts(number):
        raise NondetError(f"{option} {cut(printable(text), SHOWN)}: {allowed}")
    return number


def read_margin(text: str | None) -> float | None:
    """Return the smallest difference worth having; None where none was typed.

    Raises:
        NondetError: If it is no number above 0.
    """
    allowed = "a number above 0 in the measure's unit, such as --margin 0.2"
    return None if text is None else read_number("--margin", text, allowed, lambda margin: margin > 0)


def read_power(text: str) -> float:
    """Return the probability with which a difference is to be found.

    Raises:
        NondetError: If it is no number between 0.05 and 1.
    """
    allowed = "a number between 0.05 and 1, such as --power 0.8"
    return read_number("--power", text, allowed, lambda power: 0.05 < power < 1)


def read_whole(place: str, text: str, allowed: str, *, least: int = 0) -> int:
    """Return a whole number.

    Args:
        place: Where it was typed.
        text: What was typed.
        allowed: What is allowed, in words.
        least: The smallest that is.

    Raises:
        NondetError: If it is none, or too small a one.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise NondetError(f"{place}: {cut(printable(text), SHOWN)}: has to be {allowed}")
    return int(text)
