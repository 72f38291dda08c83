"""The live plot as a widget: settings and a cursor around `tui.text.plot`; only rows that changed are sent again."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import getters
from textual.geometry import Region
from textual.reactive import var
from textual.strip import Strip
from textual.widget import Widget

from tui.app.schemes import arm_style
from tui.app.widgets.owner import app_class
from tui.text.plot import Cell, GlyphSet, Row, draw_plot, fit_scale
from tui.text.series import Curve


class PlotView(Widget):
    """Shows curves on a plane that can be zoomed, moved and read off.

    Every attribute below that changes has the plot drawn anew, of which the terminal is sent the rows that differ.
    """

    app = getters.app(app_class)

    DRAWS: ClassVar[tuple[str, ...]] = ("curves", "log_scale", "first", "last", "cursor")
    """What the picture depends on, beside its size and the theme."""

    curves: var[tuple[Curve, ...]] = var(())
    log_scale: var[bool] = var(False)
    first: var[int] = var(1)
    last: var[int] = var(0)
    """Epochs shown; last 0 follows the newest."""
    cursor: var[int | None] = var(None)
    epoch: var[int] = var(2)
    """Where values are to be read: the epoch under the cursor, else the last one shown."""

    def __init__(self, glyphs: GlyphSet, *, name_id: str | None = None, classes: str | None = None) -> None:
        """Begin without curves.

        Args:
            glyphs: What lines are made of.
            name_id: Id of the widget.
            classes: Its style classes.
        """
        super().__init__(id=name_id, classes=classes)
        self.glyphs: GlyphSet = glyphs
        self._key: object = None
        self._strips: list[Strip] = []

    def on_mount(self) -> None:
        """Follow what the picture depends on."""
        for name in self.DRAWS:
            self.watch(self, name, self.send_changes, init=False)
        self.watch(self.app, "theme", self.send_changes, init=False)

    def compute_epoch(self) -> int:
        """Return the epoch that values are read at."""
        return self.cursor or self.end

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
            self.cursor = here = max(1, min(self.longest, here + epochs))
            if not self.first <= here <= self.end:
                self.pan(here - (self.first if here < self.first else self.end))

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

    def pan(self, epochs: int) -> None:
        """Move what is shown, inside what there is."""
        if self.last:
            span = self.last - self.first
            self.first = max(1, min(self.first + epochs, max(1, self.longest - span)))
            self.last = self.first + span

    def reset(self) -> None:
        """Show everything, without a cursor."""
        self.first, self.last, self.cursor = 1, 0, None

    def send_changes(self) -> None:
        """Draw the picture, and send the rows that differ from those shown: bytes matter over SSH."""
        before, width = self._strips, self.size.width
        self._draw()
        if len(before) != len(self._strips):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._strips, strict=True)):
            if old != new:
                self.refresh(Region(0, y, width, 1))

    def render_line(self, y: int) -> Strip:
        """Return one row of the picture, which is drawn again where the size is another one."""
        self._draw()
        if not 0 <= y < len(self._strips):
            return Strip.blank(self.size.width, self.rich_style)
        return self._strips[y].apply_style(self.rich_style)

    def _draw(self) -> None:
        """Draw the picture, unless it is the one that was drawn last."""
        width, height = self.size
        settings = (self.log_scale, self.first, self.last, self.cursor, self.app.theme)
        key = (width, height, *settings, self.curves)
        if key != self._key:
            scale = fit_scale(self.curves, first=self.first, last=self.last or None, log=self.log_scale)
            rows = draw_plot(self.curves, scale, width, height, glyphs=self.glyphs, cursor=self.cursor, marks=True)
            self._strips = [self._to_strip(row) for row in rows]
            self._key = key

    def _to_strip(self, row: Row) -> Strip:
        """Put neighbours of one style into one segment: bytes matter over SSH."""
        segments: list[Segment] = []
        run: list[Cell] = []
        for cell in [*row, None]:
            same = cell is not None and run and (cell.colour, cell.strong) == (run[-1].colour, run[-1].strong)
            if run and not same:
                segments.append(Segment("".join(c.char for c in run), self._style_of(run[0])))
                run = []
            if cell is not None:
                run.append(cell)
        return Strip(segments)

    def _style_of(self, cell: Cell) -> Style | None:
        return None if cell.colour is None else arm_style(cell.colour, self.app.theme, strong=cell.strong)
