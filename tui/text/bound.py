"""Keeps what belongs together on one line where sentences are wrapped: intervals, a figure and its unit."""

from __future__ import annotations

import re

BOUND = "\ue000"
"""Stands for a blank at which no line ends; no text has it, since it is in the part of Unicode without meanings."""

TOGETHER = re.compile(r"\[[-+.\de]+ [-+.\de]+\]|(?<=\d) (?=%)|± (?=\d)")
"""An interval, a figure with its percent sign, and an error or a margin."""


def bind(text: str) -> str:
    """Return a text in which the blanks inside of figures are marked; it is as long as before."""
    return TOGETHER.sub(lambda found: found[0].replace(" ", BOUND), text)


def release(text: str) -> str:
    """Return a text with its blanks as they were."""
    return text.replace(BOUND, " ")
