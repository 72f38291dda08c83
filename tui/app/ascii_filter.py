"""Lets no character beyond ASCII onto the screen, whatever drew it: frames, fields, names from outside."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui.text.ascii_cells import spell_cells


class AsciiFilter(LineFilter):
    """Spells each row of the screen in ASCII; every character keeps its columns."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments of a row, spelled."""
        return [
            segment if segment.control or segment.text.isascii() else Segment(spell_cells(segment.text), segment.style)
            for segment in segments
        ]
