"""A list whose entries may have several lines: the cursor is on all lines of one entry at once."""

from __future__ import annotations

from textual.geometry import Region

from tui.app.widgets.panes import LinesPane


class BlocksPane(LinesPane):
    """Shows entries of neighbouring lines with one key."""

    def is_marked(self, number: int) -> bool:
        """Tell whether the cursor is on a line: on any of its entry."""
        return self.lines[number].key == self.key

    def _go(self, row: int, direction: int) -> None:
        """Go to the first line of the entry at a row, or of the next one."""
        super()._go(row, direction)
        self._go_to_top()

    def _go_to_top(self) -> None:
        top = self.row
        while top > 0 and self.lines[top - 1].key == self.key:
            top -= 1
        self.row = top
        last = self._find_end(top)
        self.scroll_to_region(Region(0, top, 1, last - top), animate=False, force=True)

    def _find_end(self, row: int) -> int:
        """Return the line behind an entry."""
        end = row
        while end < len(self.lines) and self.lines[end].key == self.key:
            end += 1
        return end

    def action_cursor_down(self) -> None:
        """Go to the next entry."""
        if self._moves():
            self._go(self._find_end(self.row), 1)
        else:
            super().action_cursor_down()
