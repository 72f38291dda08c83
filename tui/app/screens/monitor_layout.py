"""Says what of the monitor is seen in a terminal's columns and rows: which pictures, and how many rows of lists."""

from __future__ import annotations

from typing import Literal

from tui.app.follow import Picture

NARROW_COLUMNS, LOW_ROWS = 100, 30
"""Below these, pictures share one place, and arms and runs do."""

ALL_COLUMNS = 160
"""From here on all three pictures stand beside each other."""

LEAST_GAUGES = 2
"""Processors and memory, of which the first are known at the second look."""

LEAST_ROWS, FRAME_ROWS = 6, 2  # of the lists at least, and of their frame

Page = Literal["arms", "runs"]
"""The lists below the pictures."""

Plot = Literal["spread", "arm", "rounds"]
"""The names of the pictures."""


def choose_plots(front: Plot, columns: int, *, alone: bool, decides: bool) -> set[Plot]:
    """Return the pictures that are seen.

    Args:
        front: The one that keys act on, which is among them.
        columns: Of the screen.
        alone: Whether there is room for one only.
        decides: Whether the study trains pairs until the difference of two arms is decided.
    """
    if alone:
        return {front}
    if not decides:
        return {"spread", "arm"}
    if columns >= ALL_COLUMNS:
        return {"spread", "arm", "rounds"}
    return {"rounds", "arm" if front == "arm" else "spread"}


def count_list_rows(picture: Picture, gauges: int, *, page: Page | None, rows: int, covered: int) -> int:
    """Return the rows of the lists: what they fill, at most two fifths of the screen; the pictures have the rest.

    Args:
        picture: The study.
        gauges: Gauges of the machine that are known.
        page: The list that is seen; None where both are.
        rows: Of the screen.
        covered: Rows at its foot that something stands on.
    """
    snapshot = picture.snapshot
    arms = len(snapshot.arms) + 1
    now = len(snapshot.arms) + len(picture.training)
    if snapshot.supervised:
        now += max(gauges, LEAST_GAUGES) + 2
    filled = {None: max(arms, now), "arms": arms, "runs": now}[page]
    return max(LEAST_ROWS - bool(covered), min(FRAME_ROWS + filled, rows * 2 // 5 - covered))
