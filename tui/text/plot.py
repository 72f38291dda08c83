"""A plot of curves with bands as characters: a pure function from series and a size to cells.

Every cell belongs to one curve, has its colour, and shows its dots alone: where lines meet, that of the curve on top,
else of each in turn, so that a colour never stands where its arm has no value. Bands are shades, which read without
colour: light from least to most, dark for one SD; they are drawn below all lines.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from tui.text.format import ASCII, UNICODE, mark_arm
from tui.text.scale import Scale, format_tick, log_ticks, ticks
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

NOTHING_YET = "no epoch has ended yet"

DASH = 2
"""Columns that a line has before another one is seen, where several take the same cells."""

REPLICA_DOTS = 8000
"""Dots that the lines of all replicas have at most: drawing more would be felt at a keystroke."""

FAINT_ASCII = "`"
MIN_WIDTH, MIN_HEIGHT = 24, 6
MIN_COLUMNS = 6
"""Columns between the axis and the labels at least."""

CURSOR = {"braille": "┊", "block": "┊", "ascii": "|"}
LEVEL = {"braille": "┄", "block": "┄", "ascii": "-"}


@dataclass(frozen=True)
class Cell:
    """One character; `colour` is an arm's number, None for axes and text."""

    char: str
    colour: int | None = None
    strong: bool = False
    """Whether it is a line or a name rather than a band or a line among many."""
    band: int = 0
    """What lies below: 1 from least to most, 2 one SD. The character is a shade where nothing else is there."""
    aside: bool = False
    """Whether it belongs to a curve that others stand in front of."""


BLANK = Cell(" ")
Row = list[Cell]
Dot = tuple[int, int]
"""Row and column inside a cell, from the top left."""


def draw_plot(
    curves: Sequence[Curve],
    scale: Scale | None,
    width: int,
    height: int,
    *,
    glyphs: GlyphSet = "braille",
    cursor: int | None = None,
    marks: bool = False,
    top: int | None = None,
    empty: str = NOTHING_YET,
    levels: Sequence[float] = (),
    step: str = "epoch",
) -> list[Row]:
    """Draw curves, axes and the labels of the curves' ends as `height` rows of `width` cells.

    Args:
        curves: All that is drawn.
        scale: From `fit_scale`; None draws nothing but a message.
        width: Columns.
        height: Rows.
        glyphs: What lines are made of.
        cursor: Epoch to mark with a vertical line.
        marks: Put the marks of the arms on their lines here and there.
        top: The arm in front of the others; None where all are alike.
        empty: The message where there is nothing to draw.
        levels: Values that lines are drawn at from edge to edge, below those of the curves.
        step: What the places on the x-axis are called.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return _message("no room for a plot", width, height)
    if scale is None:
        return _message(empty, width, height)
    label_width = max((len(curve.label) for curve in curves), default=0) + 1
    columns, rows = width - LABEL_COLUMNS - 2 - label_width, height - 2
    if columns < MIN_COLUMNS:
        return _message("no room for a plot", width, height)
    area = _draw_area(curves, scale, columns, rows, glyphs, marks=marks, top=top, levels=levels)
    if cursor is not None and scale.first <= cursor <= scale.last:
        _draw_cursor(area, _column(cursor, scale, columns), glyphs)
    canvas = [[BLANK] * width for _ in range(height)]
    for number, row in enumerate(area):
        canvas[number][LABEL_COLUMNS + 1 : LABEL_COLUMNS + 1 + columns] = row
    _draw_axes(canvas, scale, columns, rows, glyphs, step=step)
    _draw_labels(canvas, curves, scale, LABEL_COLUMNS + 2 + columns, rows, top=top)
    return canvas


def _message(text: str, width: int, height: int) -> list[Row]:
    canvas = [[BLANK] * width for _ in range(height)]
    if height:
        _write(canvas[height // 2], max(0, (width - len(text)) // 2), text)
    return canvas


def _write(row: Row, start: int, text: str) -> None:
    for offset, char in enumerate(text):
        if 0 <= start + offset < len(row):
            row[start + offset] = Cell(char)


def _column(epoch: float, scale: Scale, columns: int) -> int:
    return min(columns - 1, int((epoch - scale.first) / (scale.last - scale.first) * (columns - 1) + 0.5))


def _list_epochs(scale: Scale, across: int) -> list[float]:
    """List the epochs that so many dots stand for, from the left edge to the right one."""
    return [scale.first + x / max(1, across - 1) * (scale.last - scale.first) for x in range(across)]


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
    curves: Sequence[Curve],
    scale: Scale,
    columns: int,
    rows: int,
    glyphs: GlyphSet,
    *,
    marks: bool,
    top: int | None,
    levels: Sequence[float],
) -> list[Row]:
    area: list[Row] = [[BLANK] * columns for _ in range(rows)]
    for level, shade in enumerate(SHADES[glyphs], start=1):
        for curve in curves:
            band = curve.outer if level == 1 else curve.inner
            _draw_band(area, band, Cell(shade, curve.colour, band=level), scale)
    for value in levels:
        row = scale.dot(value, rows, 1)
        if row is not None and 0 <= row < rows:
            # Inside a band the line has the band's colour, so that the band is not torn.
            area[row] = [Cell(LEVEL[glyphs], cell.colour, strong=bool(cell.band), band=cell.band) for cell in area[row]]
    for curve in curves:
        _draw_replicas(area, curve, scale, glyphs)
    _draw_lines(area, curves, scale, glyphs, marks=marks, top=top)
    return area


def _draw_lines(
    area: list[Row], curves: Sequence[Curve], scale: Scale, glyphs: GlyphSet, *, marks: bool, top: int | None
) -> None:
    """Draw the middle lines of all curves over what the area shows already.

    Marks stand at epochs, where a line has a value of its own: see `_place_marks`.
    """
    across, down = DOTS[glyphs]
    shares: dict[tuple[int, int], dict[int, set[Dot]]] = {}
    for number, curve in enumerate(curves):
        for x, y in _trace(curve.middle, scale, len(area[0]) * across, len(area), down):
            share = shares.setdefault((y // down, x // across), {})
            share.setdefault(number, set()).add((y % down, x % across))
    places = [_place_marks(curve, scale, len(area[0]), len(area), glyphs) if marks else {} for curve in curves]
    for (row, column), share in shares.items():
        due = {n: places[n][row, column] for n in sorted(share) if (row, column) in places[n]}
        in_front = [n for n in share if curves[n].colour == top]
        if in_front or not due:
            number = in_front[-1] if in_front else sorted(share)[column // DASH % len(share)]
        else:
            number = list(due)[next(iter(due.values())) % len(due)]  # lines that are the same take turns
        arm = curves[number].colour
        if number in due or glyphs == "ascii":
            char = mark_arm(arm, ASCII if glyphs == "ascii" else UNICODE)
        else:
            char = _make_glyph(share[number], glyphs)
        beneath = area[row][column].band
        area[row][column] = Cell(char, arm, strong=True, band=beneath, aside=top is not None and arm != top)


def _place_marks(curve: Curve, scale: Scale, columns: int, rows: int, glyphs: GlyphSet) -> dict[tuple[int, int], int]:
    """Return the cells, by row and column, in which a line has its mark, with the epoch that each stands at.

    About one stands in every MARK_COLUMNS columns, that of each arm in others; one at least where a value is seen.
    """
    across, down = DOTS[glyphs]
    per_epoch = (columns * across - 1) / (scale.last - scale.first)
    wanted = range(curve.colour * MARK_STEP % MARK_COLUMNS, columns, MARK_COLUMNS)
    epochs = [math.floor(scale.first + column * across / per_epoch + 0.5) for column in wanted]
    last = min(math.floor(scale.last), len(curve.middle))
    known = [epoch for epoch in range(math.ceil(scale.first), last + 1) if curve.middle[epoch - 1] is not None]
    seen = set(known)
    epochs = [epoch for epoch in dict.fromkeys(epochs) if epoch in seen] or known[-1:]
    found: dict[tuple[int, int], int] = {}
    for epoch, y in zip(epochs, scale.dots([curve.middle[epoch - 1] for epoch in epochs], rows, down), strict=True):
        x = math.floor((epoch - scale.first) * per_epoch + 0.5)
        if y is not None and 0 <= y < rows * down:
            found[y // down, x // across] = epoch
    return found


def _make_glyph(dots: Collection[Dot], glyphs: GlyphSet) -> str:
    """Return the character that shows these dots of a cell, in braille or blocks."""
    if glyphs == "braille":
        return chr(0x2800 + sum((LEFT_DOTS, RIGHT_DOTS)[column][row] for row, column in dots))
    return BLOCKS[sum(1 << row for row, _ in dots)]


def _draw_replicas(area: list[Row], curve: Curve, scale: Scale, glyphs: GlyphSet) -> None:
    """Draw the replicas of a curve as faint lines; of many, dots that are REPLICA_DOTS in all at most."""
    across, down = DOTS[glyphs]
    dots = len(area[0]) * across
    step = 1 + len(curve.replicas) * dots // REPLICA_DOTS
    found: dict[tuple[int, int], set[Dot]] = {}
    epochs = _list_epochs(scale, dots)
    taken: set[tuple[int, int | None]] = set()
    for number, values in enumerate(curve.replicas):
        places = range(number % step, dots, step)
        shown = [_interpolate(values, epochs[x]) for x in places]
        taken.update(zip(places, scale.dots(shown, len(area), down), strict=True))
    for x, y in taken:
        if y is not None and 0 <= y < len(area) * down:
            found.setdefault((y // down, x // across), set()).add((y % down, x % across))
    for (row, column), share in found.items():
        char = FAINT_ASCII if glyphs == "ascii" else _make_glyph(share, glyphs)
        area[row][column] = Cell(char, curve.colour, band=area[row][column].band)


def _draw_band(area: list[Row], band: Sequence[tuple[float, float] | None], cell: Cell, scale: Scale) -> None:
    columns, rows = len(area[0]), len(area) - bool(scale.below)
    lows = [None if pair is None else pair[0] for pair in band]
    highs = [None if pair is None else pair[1] for pair in band]
    for column in range(columns) if band else ():
        epoch = scale.first + column / max(1, columns - 1) * (scale.last - scale.first)
        low, high = _interpolate(lows, epoch), _interpolate(highs, epoch)
        if low is None or high is None or high <= low:
            continue
        first = max(0, math.floor(scale.row(min(high, scale.high), rows)))
        last = min(rows - 1, math.ceil(scale.row(max(low, scale.low), rows)) - 1)
        for row in range(first, last + 1):
            area[row][column] = cell


def _trace(values: Sequence[float | None], scale: Scale, across: int, rows: int, down: int) -> list[tuple[int, int]]:
    """Return the dots of a line: joined vertically, interrupted at gaps, and cut at the edges.

    Args:
        values: By epoch from 1.
        scale: What is shown.
        across: Dots from left to right.
        rows: Rows from top to bottom.
        down: Dots of a row.
    """
    found: list[tuple[int, int]] = []
    before: int | None = None
    was_below = False
    shown = [_interpolate(values, epoch) for epoch in _list_epochs(scale, across)]
    for x, (value, y) in enumerate(zip(shown, scale.dots(shown, rows, down), strict=True)):
        if value is None or y is None:
            before = None
            continue
        if scale.is_below(value) != was_below:  # the row at the bottom is no part of the axis
            before, was_below = None, not was_below
        start = y if before is None else before + (y > before) - (y < before)
        inside = range(max(0, min(start, y)), min(rows * down - 1, max(start, y)) + 1)
        found += [(x, row) for row in inside]
        before = y
    return found


def _draw_cursor(area: list[Row], column: int, glyphs: GlyphSet) -> None:
    for row in area:
        if not row[column].strong:
            row[column] = Cell(CURSOR[glyphs])


def _draw_axes(canvas: list[Row], scale: Scale, columns: int, rows: int, glyphs: GlyphSet, *, step: str) -> None:
    line, tick, corner, across, down = AXIS[glyphs]
    for row in range(rows):
        canvas[row][LABEL_COLUMNS] = Cell(line)
    count = max(3, rows // Y_TICK_ROWS)
    marks = log_ticks(scale.low, scale.high, count) if scale.log else ticks(scale.low, scale.high, count)
    numbers = [(scale.dot(value, rows, 1), format_tick(value)) for value in marks]
    numbers += [(rows - 1, scale.below)] if scale.below else []
    for row, text in numbers:
        if row is not None and 0 <= row < rows:
            canvas[row][LABEL_COLUMNS] = Cell(tick)
            _write(canvas[row], 0, f"{text:>{LABEL_COLUMNS - 1}}")
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
    if free + len(step) + 1 <= len(bottom):
        _write(canvas[rows + 1], max(free, LABEL_COLUMNS + 1 + columns - len(step)), step)


def _draw_labels(
    canvas: list[Row], curves: Sequence[Curve], scale: Scale, start: int, rows: int, *, top: int | None
) -> None:
    """Write the labels from the highest end of a curve down, as near to the ends as one label in a row allows.

    An end is where the curve leaves the part that is shown. The label of a curve without one, or with one that a
    logarithm cannot show, goes to the bottom. Labels for which there is no row are counted in the last one; that of
    the arm in front is left out last of all.
    """
    ends = [(_find_end(curve, scale), curve) for curve in curves if curve.label]
    ordered = sorted(ends, key=lambda end: (-end[0], end[1].colour))
    plane = rows - bool(scale.below)
    if len(ordered) > rows:
        rows -= 1
        left = len(ordered) - rows
        front = [end for end in ordered[rows:] if end[1].colour == top][:rows]
        ordered = [*ordered[: rows - len(front)], *front]
        _write(canvas[rows], start, f"+{left} more")
    wanted: list[int] = []
    for end, _ in ordered:
        shown = math.isfinite(end) and not scale.is_below(end)
        wanted.append(min(plane, rows, max(1, int(scale.row(end, plane)) + 1)) - 1 if shown else rows - 1)
    for (_, curve), row in zip(ordered, place_apart(wanted, rows), strict=True):
        aside = top is not None and curve.colour != top
        for offset, char in enumerate(curve.label):
            canvas[row][start + offset] = Cell(char, curve.colour, strong=True, aside=aside)


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
