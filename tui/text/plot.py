"""A plot of curves with bands as characters: a pure function from series and a size to cells.

Every cell holds one character, whose it is (the arm's colour), and nothing else. Lines that meet in a cell share its
dots, so no line loses any; the cell has the colour that `choose_arm` gives it. Bands are shades, which read without
colour: light from least to most, dark for one SD; they are drawn below all lines.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tui.text.format import ASCII, UNICODE, mark_arm
from tui.text.series import Curve

GlyphSet = Literal["braille", "block", "ascii"]

LEFT_DOTS = (0x01, 0x02, 0x04, 0x40)
RIGHT_DOTS = (0x08, 0x10, 0x20, 0x80)
"""Bits of a braille cell from top to bottom."""

BLOCKS = {1: "▀", 2: "▄", 3: "█"}
DOTS: dict[GlyphSet, tuple[int, int]] = {"braille": (2, 4), "block": (1, 2), "ascii": (1, 1)}
"""Dots of a cell: columns and rows."""

SHADES: dict[GlyphSet, tuple[str, str]] = {"braille": ("░", "▒"), "block": ("░", "▒"), "ascii": (".", ":")}
AXIS: dict[GlyphSet, tuple[str, str, str, str, str]] = {
    "braille": ("│", "┤", "└", "─", "┬"),
    "block": ("│", "┤", "└", "─", "┬"),
    "ascii": ("|", "+", "+", "-", "+"),
}
LABEL_COLUMNS = 8
"""The columns that numbers take, left of the axis."""

X_TICK_COLUMNS = 10
Y_TICK_ROWS = 3
MARK_COLUMNS, MARK_STEP = 17, 5
"""Columns between two marks of a line, and between those of two neighbouring arms."""

MIN_WIDTH, MIN_HEIGHT = 24, 6
CURSOR = {"braille": "┊", "block": "┊", "ascii": "|"}


@dataclass(frozen=True)
class Cell:
    """One character; `colour` is an arm's number, None for axes and text."""

    char: str
    colour: int | None = None
    strong: bool = False
    """Whether it is a line rather than a band."""


BLANK = Cell(" ")
Row = list[Cell]
Dot = tuple[int, int]
"""Row and column inside a cell, from the top left."""


@dataclass(frozen=True)
class Scale:
    """The part of the plane that is shown: a range of epochs and a range of values."""

    first: float
    last: float
    """Epochs at the left and the right edge."""
    low: float
    high: float
    log: bool = False

    def row(self, value: float, rows: int) -> float:
        """Return the distance of a value from the top, where the whole height counts as `rows`."""
        low, high, value = (self._move(v) for v in (self.low, self.high, value))
        return rows * (high - value) / (high - low) if high > low else rows / 2

    def _move(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.log else value

    def value(self, row: float, rows: int) -> float:
        """Return the value at a distance from the top; the inverse of `row`."""
        low, high = self._move(self.low), self._move(self.high)
        moved = high - row / rows * (high - low)
        return 10**moved if self.log else moved


def fit_scale(curves: Iterable[Curve], *, first: int = 1, last: int | None = None, log: bool = False) -> Scale | None:
    """Return the scale that shows all curves between two epochs; None where there is nothing to show."""
    curves = list(curves)
    longest = max((len(curve.middle) for curve in curves), default=0)
    last = max(first + 1, longest if last is None else last)
    part = slice(first - 1, last)
    values = [v for c in curves for row in (c.middle[part], c.reference[part]) for v in row if v is not None]
    values += [end for c in curves for pair in c.outer[part] if pair is not None for end in pair]
    values = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    if not values:
        return None
    low, high = min(values), max(values)
    if low == high:
        margin = abs(low) * 0.05 or 1.0
        return Scale(first, last, low / 1.2 if log else low - margin, high * 1.2 if log else high + margin, log)
    return Scale(first, last, low, high, log)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return round numbers between two values: multiples of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or count < 1:
        return []
    step = 10 ** math.floor(math.log10((high - low) / count))
    step *= next((m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= count), 10)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Return the powers of ten between two values, with 2 and 5 times each where there is room for as many ticks."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high]
        if len(found) <= max(2, count):
            return found
    return [10.0**d for d in list(decades)[:: max(1, len(decades) // max(1, count))] if low <= 10.0**d <= high]


def format_tick(value: float) -> str:
    """Return a tick's value as text that is short enough for the axis."""
    text = f"{value:.5g}"
    return text if len(text) < LABEL_COLUMNS else f"{value:.1e}"


def draw_plot(
    curves: Sequence[Curve],
    scale: Scale | None,
    width: int,
    height: int,
    *,
    glyphs: GlyphSet = "braille",
    cursor: int | None = None,
    marks: bool = False,
) -> list[Row]:
    """Draw curves, axes and the labels of the curves' ends as `height` rows of `width` cells.

    Args:
        curves: The last is drawn on top.
        scale: From `fit_scale`; None draws nothing but a message.
        width: Columns.
        height: Rows.
        glyphs: What lines are made of.
        cursor: Epoch to mark with a vertical line.
        marks: Put the marks of the arms on their lines here and there.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return _message("no room for a plot", width, height)
    if scale is None:
        return _message("no epoch has ended yet", width, height)
    label_width = max((len(curve.label) for curve in curves), default=0) + 1
    columns, rows = width - LABEL_COLUMNS - 2 - label_width, height - 2
    area = _draw_area(curves, scale, columns, rows, glyphs, marks=marks)
    if cursor is not None and scale.first <= cursor <= scale.last:
        _draw_cursor(area, _column(cursor, scale, columns), glyphs)
    canvas = [[BLANK] * width for _ in range(height)]
    for number, row in enumerate(area):
        canvas[number][LABEL_COLUMNS + 1 : LABEL_COLUMNS + 1 + columns] = row
    _draw_axes(canvas, scale, columns, rows, glyphs)
    _draw_labels(canvas, curves, scale, LABEL_COLUMNS + 2 + columns, rows)
    return canvas


def _message(text: str, width: int, height: int) -> list[Row]:
    canvas = [[BLANK] * width for _ in range(height)]
    if height:
        _write(canvas[height // 2], max(0, (width - len(text)) // 2), text)
    return canvas


def _write(row: Row, start: int, text: str, colour: int | None = None) -> None:
    for offset, char in enumerate(text):
        if 0 <= start + offset < len(row):
            row[start + offset] = Cell(char, colour, strong=colour is not None)


def _column(epoch: float, scale: Scale, columns: int) -> int:
    return min(columns - 1, int((epoch - scale.first) / (scale.last - scale.first) * (columns - 1) + 0.5))


def _interpolate(values: Sequence[float | None], epoch: float) -> float | None:
    """Return the value at a fractional epoch, between those of its two neighbours; None at a gap."""
    index = math.floor(epoch) - 1
    if not 0 <= index < len(values):
        return None
    here, share = values[index], epoch - math.floor(epoch)
    if here is None or share < 1e-9:
        return here
    after = values[index + 1] if index + 1 < len(values) else None
    return None if after is None else here + share * (after - here)


def _draw_area(
    curves: Sequence[Curve], scale: Scale, columns: int, rows: int, glyphs: GlyphSet, *, marks: bool
) -> list[Row]:
    area: list[Row] = [[BLANK] * columns for _ in range(rows)]
    light, dark = SHADES[glyphs]
    for curve in curves:
        _draw_band(area, curve.outer, curve.colour, light, scale)
    for curve in curves:
        _draw_band(area, curve.inner, curve.colour, dark, scale)
    _draw_lines(area, curves, scale, glyphs, marks=marks)
    for curve in reversed(curves):  # a cell that is taken is kept: the curve on top is drawn first
        _draw_reference(area, curve, scale, glyphs)
    return area


def _draw_lines(area: list[Row], curves: Sequence[Curve], scale: Scale, glyphs: GlyphSet, *, marks: bool) -> None:
    """Draw the middle lines of all curves over what the area shows already.

    A mark stands in every MARK_COLUMNS-th column, each arm's in another one, where no other line passes.
    """
    across, down = DOTS[glyphs]
    shares: dict[tuple[int, int], dict[int, set[Dot]]] = {}
    for curve in curves:
        for x, y in _trace(curve.middle, scale, len(area[0]) * across, len(area) * down):
            share = shares.setdefault((y // down, x // across), {})
            share.setdefault(curve.colour, set()).add((y % down, x % across))
    for (row, column), share in shares.items():
        arm = choose_arm(share, glyphs)
        marked = marks and len(share) == 1 and column % MARK_COLUMNS == arm * MARK_STEP % MARK_COLUMNS
        if marked or glyphs == "ascii":
            char = mark_arm(arm, ASCII if glyphs == "ascii" else UNICODE)
        else:
            char = _make_glyph(set[Dot]().union(*share.values()), glyphs)
        area[row][column] = Cell(char, arm, strong=True)


def choose_arm(share: Mapping[int, Collection[Dot]], glyphs: GlyphSet) -> int:
    """Choose the arm whose colour a cell takes: the one with the dot nearest the cell's middle.

    Of arms that are equally near, the one with the higher dot is chosen, then the one that is drawn last. A flat line
    at the lower edge of the plot, as a control's SD of 0, thus never colours what another arm has above it.

    Args:
        share: Dots of each arm that has any in the cell, in the order in which the arms are drawn.
        glyphs: What the dots are made of.
    """
    across, down = DOTS[glyphs]

    def rank(number: int, dots: Collection[Dot]) -> tuple[float, int, int]:
        nearest = min((2 * row + 1 - down) ** 2 + (2 * column + 1 - across) ** 2 for row, column in dots)
        return nearest, min(row for row, _ in dots), -number

    return min((rank(number, dots), arm) for number, (arm, dots) in enumerate(share.items()))[1]


def _make_glyph(dots: Collection[Dot], glyphs: GlyphSet) -> str:
    """Return the character that shows these dots of a cell, in braille or blocks."""
    if glyphs == "braille":
        return chr(0x2800 + sum((LEFT_DOTS, RIGHT_DOTS)[column][row] for row, column in dots))
    return BLOCKS[sum(1 << row for row, _ in dots)]


def _draw_reference(area: list[Row], curve: Curve, scale: Scale, glyphs: GlyphSet) -> None:
    """Draw the reference, replica 1, as single dots in cells that hold nothing stronger."""
    rows, columns = len(area), len(area[0])
    for column in range(columns):
        epoch = scale.first + column / max(1, columns - 1) * (scale.last - scale.first)
        value = _interpolate(curve.reference, epoch)
        if value is None or not scale.low <= value <= scale.high or (scale.log and value <= 0):
            continue
        row = min(rows - 1, max(0, int(scale.row(value, rows))))
        if not area[row][column].strong:
            area[row][column] = Cell("'" if glyphs == "ascii" else "·", curve.colour, strong=True)


def _draw_band(
    area: list[Row], band: Sequence[tuple[float, float] | None], colour: int, shade: str, scale: Scale
) -> None:
    rows, columns = len(area), len(area[0])
    lows = [None if pair is None else pair[0] for pair in band]
    highs = [None if pair is None else pair[1] for pair in band]
    for column in range(columns):
        epoch = scale.first + column / max(1, columns - 1) * (scale.last - scale.first)
        low, high = _interpolate(lows, epoch), _interpolate(highs, epoch)
        if low is None or high is None or high <= low:
            continue
        top = max(0, math.floor(scale.row(min(high, scale.high), rows)))
        bottom = min(rows - 1, math.ceil(scale.row(max(low, scale.low), rows)) - 1)
        for row in range(top, bottom + 1):
            area[row][column] = Cell(shade, colour)


def _trace(values: Sequence[float | None], scale: Scale, across: int, down: int) -> list[tuple[int, int]]:
    """Return the dots of a line: joined vertically, interrupted at gaps, and cut at the edges."""
    found: list[tuple[int, int]] = []
    before: int | None = None
    for x in range(across):
        value = _interpolate(values, scale.first + x / max(1, across - 1) * (scale.last - scale.first))
        if value is None or not math.isfinite(value) or (scale.log and value <= 0):
            before = None
            continue
        y = math.floor(scale.row(value, down) * (down - 1) / down + 0.5)
        start = y if before is None else before + (y > before) - (y < before)
        inside = range(max(0, min(start, y)), min(down - 1, max(start, y)) + 1)
        found += [(x, row) for row in inside]
        before = y
    return found


def _draw_cursor(area: list[Row], column: int, glyphs: GlyphSet) -> None:
    for row in area:
        if not row[column].strong:
            row[column] = Cell(CURSOR[glyphs])


def _draw_axes(canvas: list[Row], scale: Scale, columns: int, rows: int, glyphs: GlyphSet) -> None:
    line, tick, corner, across, down = AXIS[glyphs]
    for row in range(rows):
        canvas[row][LABEL_COLUMNS] = Cell(line)
    count = max(2, rows // Y_TICK_ROWS)
    marks = log_ticks(scale.low, scale.high, count) if scale.log else ticks(scale.low, scale.high, count)
    for value in marks:
        row = min(rows - 1, max(0, math.floor(scale.row(value, rows - 1) + 0.5)))
        canvas[row][LABEL_COLUMNS] = Cell(tick)
        _write(canvas[row], 0, f"{format_tick(value):>{LABEL_COLUMNS - 1}}")
    bottom = canvas[rows]
    bottom[LABEL_COLUMNS] = Cell(corner)
    for column in range(columns):
        bottom[LABEL_COLUMNS + 1 + column] = Cell(across)
    free = 0
    for epoch in ticks(scale.first, scale.last, max(1, columns // X_TICK_COLUMNS)):
        if epoch != int(epoch):
            continue
        at = LABEL_COLUMNS + 1 + _column(epoch, scale, columns)
        bottom[at] = Cell(down)
        text = str(int(epoch))
        start = min(at, len(bottom) - len(text))
        if start >= free:
            _write(canvas[rows + 1], start, text)
            free = start + len(text) + 1
    if free + 6 <= len(bottom):
        _write(canvas[rows + 1], max(free, LABEL_COLUMNS + 1 + columns - 5), "epoch")


def _draw_labels(canvas: list[Row], curves: Sequence[Curve], scale: Scale, start: int, rows: int) -> None:
    """Write the labels from the highest end of a curve down, as near to the ends as one label in a row allows.

    An end is where the curve leaves the part that is shown. The label of a curve without one, or with one that a
    logarithm cannot show, goes to the bottom. Labels for which there is no row are left out.
    """
    ends = {curve.colour: _find_end(curve, scale) for curve in curves if curve.label}
    labelled = [curve for curve in curves if curve.colour in ends]
    ordered = sorted(labelled, key=lambda curve: (-ends[curve.colour], curve.colour))[:rows]
    wanted: list[int] = []
    for curve in ordered:
        end = ends[curve.colour]
        wanted.append(min(rows - 1, max(0, int(scale.row(end, rows)))) if math.isfinite(end) else rows - 1)
    for curve, row in zip(ordered, place_apart(wanted, rows), strict=True):
        _write(canvas[row], start, curve.label, curve.colour)


def _find_end(curve: Curve, scale: Scale) -> float:
    """Return the last value of a curve that is shown; minus infinity where the scale shows none."""
    shown = [value for value in curve.middle[: int(scale.last)] if value is not None]
    return -math.inf if not shown or (scale.log and shown[-1] <= 0) else shown[-1]


def place_apart(wanted: Sequence[int], rows: int) -> list[int]:
    """Return a row of its own for each label, in the given order, with the least squares of distances in total.

    Args:
        wanted: The row that each label would have alone, ascending; at most `rows` labels.
        rows: The rows that there are.
    """
    # Labels that push each other form a block, which lies at the mean of what its labels want of its first row.
    blocks: list[tuple[int, int]] = []
    for number, row in enumerate(wanted):
        total, count = row - number, 1
        while blocks and blocks[-1][0] * count > total * blocks[-1][1]:
            before, more = blocks.pop()
            total, count = total + before, count + more
        blocks.append((total, count))
    firsts = [round(total / count) for total, count in blocks for _ in range(count)]
    return [number + max(0, min(first, rows - len(wanted))) for number, first in enumerate(firsts)]


def to_text(picture: list[Row]) -> str:
    """Return the characters of a picture without colours, for tests and terminals without colour."""
    return "\n".join("".join(cell.char for cell in row).rstrip() for row in picture)
