"""Names the figures of an epoch as an axis does."""

from __future__ import annotations

from engine.catalog.measures import EPOCH_FIGURES
from engine.protocol.faults import printable
from engine.study.figures import LOSS, SCORE


def name_figure(name: str) -> str:
    """Return what an axis calls a figure: a measure of the program's, or a number that a user's own program reports."""
    if name.startswith(SCORE):
        return printable(name.removeprefix(SCORE))
    return "training loss" if name == LOSS else EPOCH_FIGURES[name]
