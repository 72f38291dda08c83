"""The live plot as a widget: settings and a cursor around `tui.text.plot`, drawn anew only when something changed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from tui.text.plot import Cell, GlyphSet, Row, draw_plot, fit_scale
from tui.text.series import Curve

PALETTE = ("#3b9bd9", "#e8743b", "#19b394", "#d98cb3", "#e6b23c", "#8fd0f0", "#b0b0b0", "#c8c832")
"""Okabe & Ito's colours for every kind of colour vision, lightened for dark grounds."""

LIGHT_PALETTE = ("#0072b2", "#d55e00", "#00785a", "#b05a8c", "#9c6a00", "#2a86b8", "#000000", "#7a7400")
ANSI_PALETTE = ("blue", "red", "green", "magenta", "yellow", "cyan", "white", "bright_black")
"""For terminals with sixteen colours."""


def arm_style(number: int, theme: str, *, strong: bool = True) -> Style:
    """An arm's colour under a theme; bands are dimmer than lines."""
    palette = {"ansi-dark": ANSI_PALETTE, "textual-light": LIGHT_PALETTE}.get(theme, PALETTE)
    return Style(color=palette[number % len(palette)], bold=strong or None, dim=None if strong else True)


class PlotView(Widget):
    """Curves on a plane that can be zoomed, moved and read off."""

    def __init__(self, *, name_id: str | None = None) -> None:
        """Nothing to show yet."""
        super().__init__(id=name_id)
        self.glyphs: GlyphSet = "braille"
        self.curves: list[Curve] = []
        self.version = 0
        self.log_scale = False
        self.first, self.last = 1, 0
        """Epochs shown; last 0 follows the newest."""
        self.cursor: int | None = None
        self._key: object = None
        self._strips: list[Strip] = []

    def show_curves(self, curves: Sequence[Curve]) -> None:
        """Draw other curves; equal ones cost nothing."""
        if list(curves) != self.curves:
            self.curves = list(curves)
            self.version += 1
            self.refresh()

    @property
    def longest(self) -> int:
        """Epochs of the longest curve."""
        return max((len(curve.middle) for curve in self.curves), default=0)

    @property
    def end(self) -> int:
        """Last epoch shown."""
        return self.last or max(2, self.longest)

    def move_cursor(self, epochs: int) -> None:
        """Put the cursor some epochs on; from the end where there is none."""
        if self.longest:
            here = self.cursor if self.cursor is not None else self.end
            self.cursor = max(1, min(self.longest, here + epochs))
            if self.cursor < self.first or self.cursor > self.end:
                self.pan(self.cursor - (self.first if self.cursor < self.first else self.end))
            self.refresh()

    def zoom(self, factor: float) -> None:
        """Show fewer epochs (factor above 1) or more, around the cursor or the end."""
        span = self.end - self.first
        wanted = max(4, round(span / factor))
        if wanted >= self.longest - 1:
            self.first, self.last = 1, 0
        else:
            middle = self.cursor if self.cursor is not None else self.end
            self.first = max(1, min(middle - wanted // 2, self.longest - wanted))
            self.last = self.first + wanted
        self.refresh()

    def pan(self, epochs: int) -> None:
        """Move what is shown, inside what there is."""
        if self.last:
            span = self.last - self.first
            self.first = max(1, min(self.first + epochs, max(1, self.longest - span)))
            self.last = self.first + span
            self.refresh()

    def reset(self) -> None:
        """Everything, and no cursor."""
        self.first, self.last, self.cursor = 1, 0, None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row of the picture."""
        width, height = self.size
        key = (
            self.version,
            width,
            height,
            self.log_scale,
            self.first,
            self.last,
            self.cursor,
            self.glyphs,
            self.app.theme,
        )
        if key != self._key:
            scale = fit_scale(self.curves, first=self.first, last=self.last or None, log=self.log_scale)
            rows = draw_plot(self.curves, scale, width, height, glyphs=self.glyphs, cursor=self.cursor)
            self._strips = [self._to_strip(row) for row in rows]
            self._key = key
        if not 0 <= y < len(self._strips):
            return Strip.blank(width, self.rich_style)
        return self._strips[y].apply_style(self.rich_style)

    def _to_strip(self, row: Row) -> Strip:
        """Neighbours of one style in one segment: bytes matter over SSH."""
        segments: list[Segment] = []
        run: list[Cell] = []
        for cell in [*row, None]:
            same = cell is not None and run and (cell.colour, cell.strong) == (run[-1].colour, run[-1].strong)
            if run and not same:
                head = run[0]
                style = None if head.colour is None else arm_style(head.colour, self.app.theme, strong=head.strong)
                segments.append(Segment("".join(c.char for c in run), style))
                run = []
            if cell is not None:
                run.append(cell)
        return Strip(segments)
