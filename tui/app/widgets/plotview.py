"""The live plot as a widget: settings and a cursor around `tui.text.plot`, drawn anew only when something changed."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual import getters
from textual.message import Message
from textual.reactive import reactive, var
from textual.strip import Strip
from textual.widget import Widget

from tui.app.look import arm_style
from tui.app.widgets.owner import app_class
from tui.text.plot import Cell, GlyphSet, Row, draw_plot, fit_scale
from tui.text.series import Curve


class PlotView(Widget):
    """Shows curves on a plane that can be zoomed, moved and read off.

    Every attribute below that changes has the plot drawn anew; the screen learns from `Pointed` at which epoch values
    are to be read.
    """

    app = getters.app(app_class)

    curves: reactive[tuple[Curve, ...]] = reactive(())
    log_scale: reactive[bool] = reactive(False)
    first: reactive[int] = reactive(1)
    last: reactive[int] = reactive(0)
    """Epochs shown; last 0 follows the newest."""
    cursor: reactive[int | None] = reactive(None)
    epoch: var[int] = var(2)
    """The epoch under the cursor, else the last one shown."""

    class Pointed(Message):
        """Tells that values are to be read at another epoch."""

        def __init__(self, epoch: int) -> None:
            """Take the epoch, from 1."""
            super().__init__()
            self.epoch = epoch

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

    def compute_epoch(self) -> int:
        """Return the epoch that values are read at."""
        return self.cursor or self.end

    def watch_epoch(self, epoch: int) -> None:
        """Tell the screen where values are to be read."""
        self.post_message(self.Pointed(epoch))

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

    def render_line(self, y: int) -> Strip:
        """Draw one row of the picture."""
        width, height = self.size
        settings = (self.log_scale, self.first, self.last, self.cursor, self.app.theme)
        key = (width, height, *settings, self.curves)
        if key != self._key:
            scale = fit_scale(self.curves, first=self.first, last=self.last or None, log=self.log_scale)
            rows = draw_plot(self.curves, scale, width, height, glyphs=self.glyphs, cursor=self.cursor)
            self._strips = [self._to_strip(row) for row in rows]
            self._key = key
        if not 0 <= y < len(self._strips):
            return Strip.blank(width, self.rich_style)
        return self._strips[y].apply_style(self.rich_style)

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
