"""The table of measures as cells whose decimals line up, for a table with a cursor; laid out for the room at hand."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.catalog.published import find_rows
from engine.study.metrics_record import ArmMeasures
from tui.text.format import UNICODE, Symbols, shorten
from tui.text.tables import Column, arm_name, format_n, format_published, stack

GAP = 2
"""Columns between two figures; one where there is less room."""

LEAST_NAME, MOST_NAME = 12, 36
"""Columns of names with their marks."""

MARK_COLUMNS = 2
"""Columns of an arm's mark before its name."""

FIGURE = re.compile(r"^(?P<value>\S+)(?: (?P<error>(?:±|\+-) \S+))?(?: (?P<ends>\[.*\]))?(?: (?P<mark>\*))?$")
"""A cell in one line: value, error, interval, and the mark of a published one."""


@dataclass(frozen=True)
class CellRow:
    """One row: an arm, or what was published of it."""

    arm: str
    """The arm's name in metrics.json."""
    number: int
    """Its place in the plan, which gives its colour and mark."""
    kind: str
    """Empty where it was measured here; "published" or "replicated"."""
    cells: tuple[str, ...]
    """Name, number of replicas, figures: all of the width of their columns."""

    @property
    def key(self) -> str:
        """Tells the row from all others."""
        return f"{self.number} {self.kind}".rstrip()


@dataclass(frozen=True)
class CellTable:
    """The table for a width: `lines` rows of text in each row."""

    columns: tuple[Column, ...]
    titles: tuple[str, ...]
    """Of two lines each: title and unit."""
    rows: tuple[CellRow, ...]
    lines: int
    gap: int

    @property
    def width(self) -> int:
        """Columns that it takes."""
        return sum(len(title.split("\n")[0]) + self.gap for title in self.titles) - self.gap


def make_cells(
    arms: Sequence[tuple[int, ArmMeasures]],
    columns: tuple[Column, ...],
    symbols: Symbols = UNICODE,
    *,
    width: int,
    height: int = 1000,
    reference: str | None = None,
) -> CellTable:
    """Make the table as wide as there is room for: intervals beside their values, else below, else left out.

    Args:
        arms: The arms with their places in the plan, in the order of the rows.
        columns: The measures.
        symbols: What can be shown.
        width: Columns.
        height: Rows; figures have two lines only where that fits.
        reference: The published table to look rows up in.
    """
    wide, narrow = (_fill(arms, columns, symbols, reference, wide=wide) for wide in (True, False))
    plain = [[cell.partition(" [")[0] for cell in row] for row in narrow]
    one_line = [_Figures(wide, columns, 1, short=False), _Figures(wide, columns, 1, short=True)]
    below = [_Figures(_stack(narrow), columns, 2, short=short) for short in (False, True)]
    without = [_Figures(plain, columns, 1, short=short) for short in (False, True)]
    fits_below = 2 * len(narrow) <= height
    tried = [one_line[0], *(below if fits_below else [one_line[1], *without]), *([] if fits_below else below[1:])]
    names = [arm_name(arm) for _, arm in arms]
    for whole in (True, False):  # a name is cut only where nothing else can give way
        for figures, gap in itertools.product(tried, (GAP + 1, GAP, 1)):
            least = _measure_names(names, figures.lines) if whole else LEAST_NAME
            left = width - figures.measure(gap)
            if left >= least:
                return figures.lay_out(arms, symbols, reference, gap, min(left, _measure_names(names, 1)))
    return tried[-1].lay_out(arms, symbols, reference, 1, LEAST_NAME)


def _measure_names(names: Sequence[str], lines: int) -> int:
    """Return the columns that names take with their marks, folded between words into so many lines."""
    least = max((_fold(name, lines)[0] for name in names), default=0)
    return min(MOST_NAME, max(LEAST_NAME, least))


def _fold(name: str, lines: int) -> tuple[int, list[str]]:
    """Return the fewest columns for a name of one or two lines, and these; the first has room for a mark."""
    words, mark = name.split() or [""], " " * MARK_COLUMNS
    found = [(len(mark + name), [mark + " ".join(words)])]
    for place in range(1, len(words)) if lines > 1 else ():
        first, second = mark + " ".join(words[:place]), " ".join(words[place:])
        found.append((max(len(first), len(second)), [first, second]))
    return min(found, key=lambda one: one[0])


def _fill(
    arms: Sequence[tuple[int, ArmMeasures]],
    columns: Sequence[Column],
    symbols: Symbols,
    reference: str | None,
    *,
    wide: bool,
) -> list[list[str]]:
    """Return the figures of every row, n first, without regard to widths."""
    rows: list[list[str]] = []
    for _, arm in arms:
        rows.append([format_n(arm), *(column.format(arm, symbols, wide=wide) for column in columns)])
        for row in find_rows(reference, arm_name(arm)) if reference else ():
            published = [format_published(column, row, arm, symbols) for column in columns]
            rows.append([str(row.replicas), *published])
    return rows


def _stack(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return rows with errors and intervals below their values."""
    return [[row[0].replace(" of", "\nof"), *map(stack, row[1:])] for row in rows]


class _Figures:
    """The figures of all rows in aligned columns, to which names are added for a width."""

    def __init__(self, rows: list[list[str]], columns: tuple[Column, ...], lines: int, *, short: bool) -> None:
        """Align the figures; `rows` have n first."""
        self.columns, self.lines = columns, lines
        self.heads = [("n", ""), *((column.short if short else column.title, column.unit) for column in columns)]
        self.cells = [align(list(column)) for column in zip(*rows, strict=True)] or [[] for _ in self.heads]
        self.widths = [
            max(len(part) for part in (*head, *(line for cell in cells for line in cell.split("\n"))))
            for head, cells in zip(self.heads, self.cells, strict=True)
        ]

    def measure(self, gap: int) -> int:
        """Return the columns that they take beside a name."""
        return sum(self.widths) + gap * len(self.widths)

    def lay_out(
        self, arms: Sequence[tuple[int, ArmMeasures]], symbols: Symbols, reference: str | None, gap: int, name: int
    ) -> CellTable:
        """Put names of a width before the figures."""
        rows: list[CellRow] = []
        for number, arm in arms:
            for kind in ("", *(row.kind for row in (find_rows(reference, arm_name(arm)) if reference else ()))):
                label = (
                    f"{'':{MARK_COLUMNS}}{kind}" if kind else "\n".join(fold(arm_name(arm), name, self.lines, symbols))
                )
                figures = [_pad(cells[len(rows)], room) for cells, room in zip(self.cells, self.widths, strict=True)]
                rows.append(CellRow(arm.name, number, kind, (label, *figures)))
        titles = [f"{'source':{name}}\n{'':{name}}"]
        for (head, unit), room, cells in zip(self.heads, self.widths, self.cells, strict=True):
            # Above a value with its interval behind it a title stands at the left, where the value is.
            side = "<" if self.lines == 1 and any("[" in cell for cell in cells) else ">"
            titles.append(f"{head:{side}{room}}\n{unit:{side}{room}}")
        return CellTable(self.columns, tuple(titles), tuple(rows), self.lines, gap)


def fold(name: str, width: int, lines: int, symbols: Symbols = UNICODE) -> list[str]:
    """Fold a name between words into so many lines at most; lines that are too long are cut.

    The first line leaves room for a mark, and so does the second unless a word is whole only without it.
    """
    if lines > 1 and len(name) + MARK_COLUMNS <= width:
        lines = 1
    parts = _fold(name, lines)[1]
    parts = [
        " " * MARK_COLUMNS + part if place and not width - MARK_COLUMNS < len(part) <= width else part
        for place, part in enumerate(parts)
    ]
    return [shorten(part, width, symbols) for part in parts]


def _pad(cell: str, width: int) -> str:
    return "\n".join(f"{line:>{width}}" for line in cell.split("\n"))


def align(cells: list[str]) -> list[str]:
    """Return the cells of one column with the points of their figures below each other.

    In cells of one line, errors and intervals stand below each other too; what stands in a second line keeps its place
    at the right edge, its point below the value's where it is an error.
    """
    stacked = any("\n" in cell for cell in cells)
    return _align_stacked(cells) if stacked else _align_lines(cells)


def _align_lines(cells: list[str]) -> list[str]:
    found = [FIGURE.match(cell) for cell in cells]
    if None in found:
        return cells
    parts = [match.groupdict("") for match in found if match is not None]
    values = align_points([part["value"] for part in parts])
    errors = align_points([part["error"] for part in parts])
    ends = [part["ends"] for part in parts]
    room = max(map(len, ends), default=0)
    marks = any(part["mark"] for part in parts)
    rows: list[str] = []
    for part, value, error, end in zip(parts, values, errors, ends, strict=True):
        row = value + (f" {error}" if error else "") + (f" {end:{room}}" if room else "")
        rows.append(row + (f" {part['mark'] or ' '}" if marks else ""))
    return rows


def _align_stacked(cells: list[str]) -> list[str]:
    split = [cell.split("\n") for cell in cells]
    lines = [lines[0] for lines in split] + [lines[1] for lines in split if len(lines) > 1 and "[" not in lines[1]]
    points = iter(align_points(lines))
    firsts = [next(points) for _ in split]
    return [
        "\n".join([first, *((rest if "[" in rest else next(points)) for rest in lines[1:])])
        for first, lines in zip(firsts, split, strict=True)
    ]


def align_points(figures: Sequence[str]) -> list[str]:
    """Return figures as texts of one width, with their points below each other; others are at the right."""
    pairs = [figure.partition(".") for figure in figures]
    after = max((len(point + rest) for _, point, rest in pairs), default=0)
    before = max((len(head) for head, _, _ in pairs), default=0)
    width = before + after
    return [
        f"{head:>{before}}{point + rest:<{after}}" if any(c.isdigit() for c in head) else f"{figure:>{width}}"
        for figure, (head, point, rest) in zip(figures, pairs, strict=True)
    ]
