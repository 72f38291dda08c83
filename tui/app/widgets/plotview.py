"""The live plot as a widget: settings and a cursor around `tui.text.plot`; only rows that changed are sent again."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import getters
from textual.geometry import Region
from textual.reactive import var
from textual.strip import Strip

from tui.app.schemes import arm_style, is_tinted, mix_arm_colour
from tui.app.widgets.explained import Explained
from tui.app.widgets.owner import app_class
from tui.text.plot import NOTHING_YET, Cell, GlyphSet, Row, draw_plot
from tui.text.scale import Scale, fit_scale
from tui.text.series import Curve

BAND_SHARES = (0.0, 0.13, 0.27)
"""How much of an arm's colour the ground of its bands has."""

FAINT_SHARE, ASIDE_SHARE = 0.62, 0.72
"""The same of lines among many, and of curves that others stand in front of."""

LEGEND_SHARE = 4
"""The legend's names have one part in so many of the plot's columns."""

MAX_ZOOM = 1024.0


class PlotView(Explained):
    """Shows curves on a plane that can be zoomed, moved and read off.

    Every attribute below that changes has the plot drawn anew, of which the terminal is sent the rows that differ.
    """

    app = getters.app(app_class)

    DRAWS: ClassVar[tuple[str, ...]] = (
        "curves", "log_scale", "decades", "first", "last", "cursor", "zoom_y", "front", "empty", "from_zero", "levels"
    )  # fmt: skip
    """What the picture depends on, beside its size and the theme."""

    curves: var[tuple[Curve, ...]] = var(())
    log_scale: var[bool] = var(False)
    decades: var[int | None] = var(None)
    """How far a logarithmic axis reaches below its largest value; None for all there is."""
    from_zero: var[bool] = var(False)
    """Whether a linear axis begins at 0."""
    first: var[int] = var(1)
    last: var[int] = var(0)
    """Epochs shown; last 0 follows the newest."""
    cursor: var[int | None] = var(None)
    zoom_y: var[float] = var(1.0)
    """How many times larger values are shown, around those of the curve in front."""
    front: var[int | None] = var(None)
    """The arm whose curve stands in front of the others."""
    levels: var[tuple[float, ...]] = var(())
    """Values that lines are drawn at from edge to edge; they are inside of what is shown."""
    step: str = "epoch"
    """What the places on the x-axis are called."""
    empty: var[str] = var(NOTHING_YET)
    """What is said where there is nothing to draw."""
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
        self._base = Style.null()
        self._strips: list[Strip] = []
        self._waits = False
        self._styles: dict[tuple[object, ...], Style | None] = {}

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

    def zoom_values(self, factor: float) -> None:
        """Show values larger (factor above 1) or smaller, down to all of them."""
        self.zoom_y = max(1.0, min(MAX_ZOOM, self.zoom_y * factor))

    def pan(self, epochs: int) -> None:
        """Move what is shown, inside what there is."""
        if self.last:
            span = self.last - self.first
            self.first = max(1, min(self.first + epochs, max(1, self.longest - span)))
            self.last = self.first + span

    def reset(self) -> None:
        """Show everything, without a cursor."""
        self.first, self.last, self.cursor, self.zoom_y = 1, 0, None, 1.0

    def follow(self, other: PlotView) -> None:
        """Show the epochs that another plot shows, and read values where it does."""
        self.first, self.last, self.cursor = other.first, other.last, other.cursor

    @contextlib.contextmanager
    def prevent_draws(self) -> Generator[None]:
        """Keep from drawing while several attributes change, and draw once then."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
            self.send_changes()

    def send_changes(self) -> None:
        """Draw the picture, and send the rows that differ from those shown: bytes matter over SSH."""
        if self._waits or not self.size:
            return  # where it is not seen, it is drawn when it is
        before, width = self._strips, self.size.width
        self._draw()
        if len(before) != len(self._strips):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._strips, strict=True)):
            if old != new:
                self.refresh(Region(0, y, width, 1))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return some rows; what lies below their styles is found once: all that is around has a part in it."""
        self._base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Return one row of the picture, which is drawn again where the size is another one."""
        self._draw()
        if not 0 <= y < len(self._strips):
            return Strip.blank(self.size.width, self._base)
        return self._strips[y].apply_style(self._base)

    def _draw(self) -> None:
        """Draw the picture, unless it is the one that was drawn last."""
        width, height = self.size
        key = (width, height, self.app.theme, *(getattr(self, name) for name in self.DRAWS))
        if key != self._key:
            rows = draw_plot(
                self.curves,
                self._fit(),
                width,
                height,
                glyphs=self.glyphs,
                cursor=self.cursor,
                marks=True,
                top=self.front,
                empty=self.empty,
                levels=self.levels,
                step=self.step,
            )
            self._strips = [self._to_strip(row) for row in rows]
            self._key = key

    def _fit(self) -> Scale | None:
        """Return the part of the plane that is shown."""
        last = self.last or None
        lines = [Curve("", 0, [value] * self.first) for value in self.levels] if self.curves else []
        scale = fit_scale(
            [*self.curves, *lines],
            first=self.first,
            last=last,
            log=self.log_scale,
            decades=self.decades,
            from_zero=self.from_zero,
        )
        if scale is None or self.zoom_y <= 1:
            return scale
        ordered = sorted(self.curves, key=lambda curve: curve.colour != self.front)
        values = [value for curve in ordered for value in curve.middle[: self.epoch][-1:] if value is not None]
        return scale.zoom(self.zoom_y, values[0] if values else None)

    def _to_strip(self, row: Row) -> Strip:
        """Put neighbours of one style into one segment: bytes matter over SSH."""
        segments: list[Segment] = []
        run: list[Cell] = []
        for cell in [*row, None]:
            same = cell is not None and run and _look(cell) == _look(run[-1])
            if run and not same:
                segments.append(Segment("".join(self._show(c) for c in run), self._style_of(run[0])))
                run = []
            if cell is not None:
                run.append(cell)
        return Strip(segments)

    @property
    def tinted(self) -> bool:
        """Tell whether bands are tints of the ground; otherwise they are shades."""
        return self.glyphs != "ascii" and not self.app.no_color and is_tinted(self.app.theme)

    def _show(self, cell: Cell) -> str:
        is_shade = cell.band and not cell.strong and not "\u2800" <= cell.char <= "\u28ff"
        return " " if is_shade and self.tinted else cell.char

    def _style_of(self, cell: Cell) -> Style | None:
        """Return the style of a cell; those that were needed before are kept."""
        if cell.colour is None:
            return None
        key = (self.app.theme, self.tinted, *_look(cell))
        if key not in self._styles:
            self._styles[key] = self._make_style(cell, cell.colour)
        return self._styles[key]

    def _make_style(self, cell: Cell, arm: int) -> Style:
        theme = self.app.theme
        if not is_tinted(theme):
            return arm_style(arm, theme, strong=cell.strong and not cell.aside)
        ground = self.app.theme_variables["background"]
        share = ASIDE_SHARE if cell.aside else 1.0 if cell.strong else FAINT_SHARE
        colour = mix_arm_colour(arm, theme, ground, share)
        below = mix_arm_colour(arm, theme, ground, BAND_SHARES[cell.band]) if cell.band and self.tinted else None
        return Style(color=colour, bgcolor=below, bold=cell.strong and not cell.aside)


def _look(cell: Cell) -> tuple[object, ...]:
    """Return what the style of a cell depends on."""
    return (cell.colour, cell.strong, cell.band, cell.aside)
