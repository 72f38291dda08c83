"""A forest plot: a row per arm, a column per measure, each estimate with its interval on an axis that arms share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.catalog.measure_declaration import Measure
from engine.catalog.published import PublishedRow, find_rows
from engine.study.estimate import Estimate
from engine.study.metrics_record import ArmMeasures
from tui.text.answers.sentences import show_estimate
from tui.text.few_measures import add_unit
from tui.text.format import UNICODE, Symbols, shorten
from tui.text.plot import format_tick, ticks
from tui.text.tables import Column, arm_name
from tui.text.whiskers import Axis, draw_interval, find_place, fit_axis

LEAST_COLUMN = 11
"""Characters that an axis needs."""

GOOD_COLUMN = 28
"""Characters from which on more columns stand below each other only where there is room."""

FINER = 6
"""How many finer scales are tried where an axis would have a single number."""

GAP = 2
NARROW = 100
"""Columns below which names are cut to a quarter of the width; above it they may have a third."""

OVERHEAD = 3
"""Rows of a band beside those of arms: titles, axis, numbers."""

VALUE_COLUMNS = 26
"""Characters of a value with its interval as text, beside the picture."""


@dataclass(frozen=True)
class Piece:
    """A part of a line in one style."""

    text: str
    arm: int | None = None
    """Whose colour it has; None for what belongs to no arm."""
    strong: bool = False
    """Whether it is in the foreground: titles and values."""
    measure: Measure | None = None
    """What it is about; None for what is about no measure."""


@dataclass(frozen=True)
class ForestLine:
    """One line."""

    pieces: tuple[Piece, ...]
    arm: str | None = None
    """The arm that begins in it."""

    @property
    def text(self) -> str:
        """The characters without styles."""
        return "".join(piece.text for piece in self.pieces)


Arms = Sequence[tuple[int, ArmMeasures]]
"""Arms with their places in the plan, in the order of the rows."""


def draw_forest(
    arms: Arms,
    columns: Sequence[Column],
    width: int,
    height: int = 0,
    *,
    symbols: Symbols = UNICODE,
    marks: Sequence[str] = (),
    reference: str | None = None,
) -> list[ForestLine]:
    """Draw the estimates of some measures.

    Args:
        arms: What is drawn.
        columns: The measures.
        width: Columns of the terminal.
        height: Its rows; room that is left over makes the picture larger.
        symbols: What can be shown.
        marks: The character of each arm's values, by its place in the plan; the usual dot where there are none.
        reference: The published table whose rows are drawn too.
    """
    if not arms or not columns:
        return []
    longest = max(len(arm_name(arm)) for _, arm in arms) + 2
    # A picture alone leaves to names what it does not need itself.
    alone = width - GOOD_COLUMN - VALUE_COLUMNS - GAP if len(columns) == 1 else 0
    name = min(longest, max(12, width // (4 if width < NARROW else 3), alone))
    published = {arm.name: find_rows(reference, arm_name(arm))[:1] if reference else () for _, arm in arms}
    bands, rows = _choose(len(arms), len(columns), width - name, height, any(published.values()))
    per_band = math.ceil(len(columns) / bands)
    room = max(4, (width - name) // per_band - GAP)
    frame = _Frame(name, room, rows, symbols, marks, published)
    lines: list[ForestLine] = []
    for start in range(0, len(columns), per_band):
        lines += [ForestLine(())] if lines else []
        lines += frame.draw_band(arms, columns[start : start + per_band])
    return lines


def _choose(arms: int, columns: int, width: int, height: int, published: bool) -> tuple[int, int]:
    """Choose how many bands of columns stand below each other, and how many lines each arm has.

    There are as few bands as give every column a good width, or as many as there is height for.
    """
    fewest = math.ceil(columns / max(1, width // (LEAST_COLUMN + GAP)))
    good = math.ceil(columns / max(1, width // (GOOD_COLUMN + GAP)))

    def measure(bands: int, rows: int) -> int:
        return bands * (arms * rows + OVERHEAD + 1) - 1

    wanted = [(n, rows) for rows in ((2, 1) if published else (1,)) for n in range(max(good, fewest), fewest - 1, -1)]
    bands = next((n for n, rows in wanted if measure(n, rows) <= height), fewest)
    return bands, next((rows for rows in (3, 2) if measure(bands, rows) <= height), 1)


@dataclass(frozen=True)
class _Frame:
    """Holds how measures and arms share the room, and what they are drawn with."""

    name: int
    """Columns of names with their marks."""
    room: int
    """Columns of a measure."""
    rows: int
    """Lines of each arm."""
    symbols: Symbols
    marks: Sequence[str]
    published: Mapping[str, tuple[PublishedRow, ...]]
    """Arm → its published row, if there is one."""

    @property
    def axis_room(self) -> int:
        """The columns of an axis: less than those of a measure where values stand beside it as text."""
        return self.room - VALUE_COLUMNS if self.room >= GOOD_COLUMN + VALUE_COLUMNS else self.room

    def draw_band(self, arms: Arms, columns: Sequence[Column]) -> list[ForestLine]:
        """Draw the columns of one band: titles, a block per arm, the axes."""
        axes = [self._fit(arms, column) for column in columns]
        titles = [Piece(self._pad(_title(c, self.room)), strong=True, measure=c.measure) for c in columns]
        lines = [ForestLine((Piece(" " * self.name), *titles))]
        for number, arm in arms:
            mark = self.marks[number % len(self.marks)] if self.marks else self.symbols.dot
            room = self.name - 2
            head = Piece(f"{mark} {shorten(arm_name(arm), room, self.symbols):{room}}", number, strong=True)
            cells = [
                Piece(self._draw(arm, c, axis, mark), number, measure=c.measure)
                for c, axis in zip(columns, axes, strict=True)
            ]
            lines.append(ForestLine((head, *cells), arm.name))
            below = self._draw_below(arm, columns, axes)
            lines += [*below, *[ForestLine(())] * (self.rows - 1 - len(below))]
        bottoms = [draw_axis(axis, self.axis_room, self.symbols) for axis in axes]
        for line in range(2):
            parts = [Piece(self._pad(bottom[line])) for bottom in bottoms]
            lines.append(ForestLine((Piece(" " * self.name), *parts)))
        return lines

    def _pad(self, text: str) -> str:
        return f"{'':{GAP}}{text[: self.room]:{self.room}}"

    def _fit(self, arms: Arms, column: Column) -> Axis | None:
        """Return the axis of a measure, which holds published values too."""
        measure = column.measure
        found = [arm.find(measure.key) for _, arm in arms]
        found += [_read_published(row, column) for rows in self.published.values() for row in rows]
        return fit_axis(found, zero=measure.wants_zero)

    def _draw(self, arm: ArmMeasures, column: Column, axis: Axis | None, mark: str) -> str:
        """Draw one estimate, its value as text behind it where there is room; published values in it if in one line."""
        found = arm.find(column.measure.key)
        if axis is None or found.value is None:
            return self._pad(self.symbols.missing)
        cells = list(draw_interval(found, axis, self.axis_room, self.symbols, dot=mark))
        for row in self.published[arm.name] if self.rows == 1 else ():
            value = row.figures.get(column.measure.key)
            place = None if value is None else find_place(value, axis, self.axis_room)
            if place is not None and cells[place] != mark:
                cells[place] = self.symbols.published
        text = f" {show_estimate(found, column.measure, self.symbols)}" if self.room > self.axis_room else ""
        return self._pad("".join(cells) + text)

    def _draw_below(self, arm: ArmMeasures, columns: Sequence[Column], axes: Sequence[Axis | None]) -> list[ForestLine]:
        """Draw what stands below an arm's estimates: published values, then the values as text."""
        lines: list[ForestLine] = []
        for row in self.published[arm.name] if self.rows > 1 else ():
            cells: list[Piece] = []
            for column, axis in zip(columns, axes, strict=True):
                found, dot = _read_published(row, column), self.symbols.published
                drawn = "" if axis is None else draw_interval(found, axis, self.axis_room, self.symbols, dot=dot)
                cells.append(Piece(self._pad(drawn)))
            lines.append(ForestLine((Piece(f"  {shorten(row.kind, self.name - 2):{self.name - 2}}"), *cells)))
        if self.rows > 1 + len(lines) and VALUE_COLUMNS <= self.room == self.axis_room:
            texts = [show_estimate(arm.find(column.measure.key), column.measure, self.symbols) for column in columns]
            lines.append(ForestLine((Piece(" " * self.name), *(Piece(self._pad(text)) for text in texts))))
        return lines


def _title(column: Column, room: int) -> str:
    long, short = (add_unit(title, column.unit) for title in (column.title, column.short))
    return next((text for text in (long, short, column.short) if len(text) <= room), column.short[:room])


def _read_published(row: PublishedRow, column: Column) -> Estimate:
    value = row.figures.get(column.measure.key)
    error = row.figures.get(column.measure.error_field or "")
    return Estimate(value, interval=None if value is None or not error else (value - 2 * error, value + 2 * error))


def draw_axis(axis: Axis | None, room: int, symbols: Symbols) -> tuple[str, str]:
    """Draw an axis and its numbers, as many as stand apart; nothing where there is none."""
    if axis is None:
        return "", ""
    corner, tick, line = symbols.axis
    count = max(2, room // 9)
    marks = ticks(*axis, count)
    if len(marks) < 2:  # one alone is no scale
        finer = (ticks(*axis, count + more) for more in range(1, FINER))
        marks = next((found for found in finer if len(found) > 1 and _stand_apart(found, axis, room)), marks)
    while len(marks) > 2 and not _stand_apart(marks, axis, room):
        marks = marks[::2]
    cells, numbers = [line] * room, [" "] * (room + 6)
    cells[0] = corner
    for mark in marks if len(marks) < 3 or _stand_apart(marks, axis, room) else ():
        place, text = find_place(mark, axis, room), format_tick(mark)
        cells[place] = tick if place else corner
        start = min(max(0, place - len(text) // 2), room - len(text))
        numbers[start : start + len(text)] = text
    return "".join(cells), "".join(numbers[:room])


def _stand_apart(marks: Sequence[float], axis: Axis, room: int) -> bool:
    places = [(find_place(mark, axis, room), len(format_tick(mark))) for mark in marks]
    return all(right - left > (one + other) // 2 + 1 for (left, one), (right, other) in pairwise(places))
