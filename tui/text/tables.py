"""The table of measures, as rows of text and as a rich panel; what stands in it comes from metrics.json."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.catalog.measure_declaration import Measure
from engine.catalog.measures import list_columns
from engine.catalog.published import PublishedRow, find_rows
from engine.protocol.faults import printable
from engine.study.metrics_record import SCORE_PREFIX, ArmMeasures
from tui.text.counts import plural
from tui.text.differences import differs_from_published, find_side
from tui.text.format import UNICODE, Symbols, format_ends, format_interval, format_title, format_with_error
from tui.text.repeats import judge_repeats

OUTSIDE = "*"
"""The mark behind published figures that differ from the measured one by more than both errors explain."""

BASELINE = "^"
"""The mark behind a published figure of one network, in the column of a mean over replicas."""

NAME_WIDTH = 12
"""Columns that an arm's name gets at least before it is folded."""

MAX_WORD = 20
"""Longest word of a name that is not broken."""

PANEL_FRAME = 4
"""Columns of the panel's border and padding."""

ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""A line below the titles, of characters that every stream can show."""


@dataclass(frozen=True)
class Column:
    """One measure as a column of a table."""

    measure: Measure
    title: str
    short: str
    """Title where there is little room."""

    @property
    def unit(self) -> str:
        """The unit of its figures."""
        return self.measure.unit

    @property
    def has_optional_interval(self) -> bool:
        """Tell whether its interval stands beside its value only where there is room.

        These are means and the SDs of the paper's tables, which have an error already.
        """
        return self.measure.interval == "mean" or (
            self.measure.interval_field is not None and self.measure.error_field is not None
        )

    def format(self, arm: ArmMeasures, symbols: Symbols, *, wide: bool = False) -> str:
        """Return the cell of one arm; `wide` with the interval that stands there only where there is room."""
        found, digits = arm.find(self.measure.key), self.measure.digits
        shown = found.interval if wide or not self.has_optional_interval else None
        if self.measure.interval_field is None or shown is None:
            return format_with_error(found.value, found.error, digits, symbols)
        if self.measure.error_field is None:
            return format_interval(found.value, shown, digits, symbols)
        ends = "" if found.value is None else format_ends(found.value, shown)
        return f"{format_with_error(found.value, found.error, digits, symbols)} {ends}".rstrip()


def head_columns(measures: Iterable[Measure], symbols: Symbols = UNICODE) -> tuple[Column, ...]:
    """Return measures as columns whose titles a stream can show."""
    return tuple(Column(m, format_title(m.title, symbols), format_title(m.short, symbols)) for m in measures)


def make_columns(symbols: Symbols = UNICODE, *, text: bool = False) -> tuple[Column, ...]:
    """Return the columns of the table of results; `text` for those of language models."""
    return head_columns(list_columns("table", text=text), symbols)


def pick_columns(arms: Sequence[ArmMeasures], symbols: Symbols = UNICODE) -> tuple[Column, ...]:
    """Return the columns of some arms' table: of what can be measured of their kind, then their scores."""
    kinds = {arm.kind for arm in arms}
    columns = make_columns(symbols, text=are_text(arms))
    if kinds and kinds <= {"classes", "scores"}:
        known = {key for arm in arms for key, found in arm.estimates.items() if found.value is not None}
        columns = tuple(column for column in columns if column.measure.key in known)
    names = dict.fromkeys(name for arm in arms for name in arm.scores)
    return (*columns, *head_columns((one for name in names for one in declare_score(name)), symbols))


def declare_score(name: str) -> tuple[Measure, Measure]:
    """Return the mean and the SD of a score as measures."""
    shared: dict[str, Any] = {"group": "images", "digits": 4, "formula": "", "latex": "", "source": ""}
    key, title = f"{SCORE_PREFIX}{name}", printable(name)
    mean = Measure(
        key=f"{key}.mean",
        statistic="mean",
        interval="mean",
        title=title,
        short=title,
        unit="mean",
        meaning=f"Mean of {title} over replicas.",
        **shared,
    )
    spread = Measure(
        key=f"{key}.sd",
        statistic="sd",
        error="bootstrap",
        interval="sd",
        title=f"{title} SD",
        short=f"{title} SD",
        unit="SD",
        meaning=f"SD of {title} over replicas.",
        **shared,
    )
    return mean, spread


def are_text(arms: Iterable[ArmMeasures]) -> bool:
    """Tell whether a study's arms are language models."""
    return any(arm.text for arm in arms)


def format_n(arm: ArmMeasures) -> str:
    """Return the replicas behind a row; "5 of 20" where not all planned ones are."""
    return str(arm.n) if arm.n == arm.planned else f"{arm.n} of {arm.planned}"


def arm_name(arm: ArmMeasures) -> str:
    """Return an arm's name as harmless text."""
    return printable(arm.name)


def make_rows(
    arms: Sequence[ArmMeasures],
    symbols: Symbols = UNICODE,
    reference: str | None = None,
    *,
    indent: str = "  ",
    wide: bool = False,
) -> list[list[str]]:
    """Make one row per arm: name, n, then a cell per column; below it what was published of it, if anything.

    Args:
        arms: The arms of metrics.json.
        symbols: What can be shown.
        reference: The published table to look rows up in.
        indent: Before the names of published rows.
        wide: With the intervals of means and SDs.
    """
    columns = pick_columns(arms, symbols)
    rows: list[list[str]] = []
    for arm in arms:
        rows.append([arm_name(arm), format_n(arm), *(column.format(arm, symbols, wide=wide) for column in columns)])
        for published in find_rows(reference, arm_name(arm)) if reference else ():
            cells = [format_published(column, published, arm, symbols) for column in columns]
            rows.append([f"{indent}{published.kind}", str(published.replicas), *cells])
    return rows


def format_published(column: Column, row: PublishedRow, arm: ArmMeasures, symbols: Symbols = UNICODE) -> str:
    """Format a published figure with the digits that it was published with.

    OUTSIDE marks what lies farther from the measurement than the errors of both explain.
    """
    measure = column.measure
    value = row.figures.get(measure.key)
    if value is None:
        baseline = row.baseline.get(measure.key)
        return symbols.missing if baseline is None else f"{baseline}{BASELINE}"
    error = None if measure.error_field is None else row.figures[measure.error_field]
    side = find_side(arm.find(measure.key), arm.n)
    outside = side is not None and differs_from_published(side, value, error, row.replicas, row.rounding[measure.key])
    mark = f" {OUTSIDE}" if outside else ""
    return f"{value:g}{mark}" if error is None else f"{value:g} {symbols.plus_minus} {error:g}{mark}"


def make_published_notes(rows: list[list[str]]) -> list[str]:
    """Say what the marks mean, where there are any."""
    meanings = {
        OUTSIDE: (
            f"{OUTSIDE} farther from the measured value than the 95 % interval of their difference, with the errors of "
            "both; where studies are equal, about one cell in twenty has this mark"
        ),
        BASELINE: f"{BASELINE} of one published network that was trained so; the paper prints no means over replicas",
    }
    figures = [cell for row in rows for cell in row[2:]]
    return [meaning for mark, meaning in meanings.items() if any(cell.endswith(mark) for cell in figures)]


def make_interval_notes(arms: Sequence[ArmMeasures], symbols: Symbols = UNICODE) -> list[str]:
    """List the 95 % intervals that stand in the table only where there is room, a line per column."""
    notes: list[str] = []
    for column in pick_columns(arms, symbols):
        if not column.has_optional_interval:
            continue
        found = [(arm, arm.find(column.measure.key)) for arm in arms]
        said = [
            f"{arm_name(arm)} {format_ends(one.value, one.interval)}"
            for arm, one in found
            if one.value is not None and one.interval is not None and one.interval[0] < one.interval[1]
        ]
        if said:
            notes.append(f"95 % of {column.title}, {column.unit}: {', '.join(said)}")
    return notes


NOT_ISOLATED = "NOT ISOLATED, which the protocol allows"
"""Begins the note on an arm in which other sources change along with those that vary."""


MIXED = "they round differently, so a part of the spread may be theirs"
"""Ends the note on an arm whose runs were trained on several models of device."""


def describe_devices(devices: Mapping[str, int]) -> str:
    """Say which models of device some runs were trained on, each with the number of runs."""
    counted = ", ".join(f"{printable(name)} ({count})" for name, count in devices.items())
    return f"trained on {len(devices)} models of device, {counted}"


def make_notes(arms: Iterable[ArmMeasures], empty: Mapping[str, Mapping[str, str]] | None = None) -> list[str]:
    """Make notes of what a reader has to know beside the numbers: controls, losses, reasons.

    Args:
        arms: The arms of metrics.json.
        empty: Arm → source → why it changes nothing there.
    """
    notes: dict[str, list[str]] = {}
    """What is said → the arms that it is said of."""
    for arm in arms:
        reasons = arm.reasons
        said: list[str] = []
        if arm.ensemble_size == 1:
            said += judge_repeats(arm, set((empty or {}).get(arm.name, {})))
        counted = {"damaged", "diverged"}
        said += [printable(reasons[key]) for key in sorted(counted & set(reasons))]
        said += sorted(printable(reason) for reason in {r for key, r in reasons.items() if key not in counted})
        said += [
            f"{printable(name)} is of {one.n} of the {arm.n} replicas: the others did not leave it"
            for name, one in arm.scores.items()
            if one.n < arm.n
        ]
        if arm.unisolated is not None:
            said.append(f"{NOT_ISOLATED}: {printable(arm.unisolated)}")
        if len(arm.devices) > 1:
            said.append(f"{describe_devices(arm.devices)}: {MIXED}")
        said += [printable(reason) for reason in (empty or {}).get(arm.name, {}).values()]
        for one in said:
            notes.setdefault(one, []).append(arm_name(arm))
    return [f"{', '.join(names)}: {one}" for one, names in notes.items()]


def note_sharing(arms: Iterable[ArmMeasures], runs: int) -> list[str]:
    """Say why there are more planned replicas than runs, where there are.

    Args:
        arms: The arms of metrics.json.
        runs: How many runs are planned.
    """
    replicas = sum(arm.planned for arm in arms)
    shared = f"{replicas} replicas are {plural(runs, 'run')}: arms share those that are the same"
    return [shared] if replicas > runs else []


def stack(cell: str) -> str:
    """Put the error or interval of a cell below its value, as narrow as it gets without losing a digit."""
    for mark, below in ((" ± ", "±"), (" +- ", "+-")):
        if mark in cell:
            value, error = cell.split(mark)
            return f"{value}\n{below}{error}"
    value, bracket, rest = cell.partition(" [")
    # Ends of an interval stand below a value that has its leading zero.
    return f"{value}\n[{re.sub(r'(?<![0-9])0[.]', '.', rest)}" if bracket else cell


@dataclass(frozen=True)
class Layout:
    """One way to draw the table: titles, cells that may hold line ends, and the space between columns."""

    titles: list[str]
    rows: list[list[str]]
    gap: int

    def measure_width(self) -> int:
        """Return the columns of the terminal that it needs; names of arms may be folded between words."""
        columns = list(zip(self.titles, *self.rows, strict=True))
        widths = [max(len(line) for cell in column for line in cell.split("\n")) for column in columns]
        longest_word = max((len(word) for row in self.rows for word in row[0].split()), default=0)
        name = min(widths[0], max(NAME_WIDTH, min(longest_word, MAX_WORD)))
        return name + sum(widths[1:]) + self.gap * (len(widths) - 1)


def find_wide_layout(rows: list[list[str]], columns: Sequence[Column], width: int) -> Layout | None:
    """Return the widest layout that fits with every cell in one line; None where none does."""
    titles = ["source\n", "n\n", *(f"{column.title}\n{column.unit}" for column in columns)]
    short = ["source\n", "n\n", *(f"{column.short}\n{column.unit}" for column in columns)]
    layouts = (Layout(titles, rows, 3), Layout(titles, rows, 2), Layout(short, rows, 2))
    return next((layout for layout in layouts if layout.measure_width() <= width), None)


def choose_layout(rows: list[list[str]], columns: Sequence[Column], width: int) -> Layout | None:
    """Return the widest layout that fits; None where none does without breaking numbers."""
    short = ["source\n", "n\n", *(f"{column.short}\n{column.unit}" for column in columns)]
    stacked = [[row[0], row[1].replace(" of", "\nof"), *map(stack, row[2:])] for row in rows]
    layouts = (Layout(short, stacked, 2), Layout(short, stacked, 1))
    found = find_wide_layout(rows, columns, width)
    return found or next((layout for layout in layouts if layout.measure_width() <= width), None)


def choose_head(symbols: Symbols) -> box.Box:
    """Return the line below the titles of a table."""
    return box.SIMPLE_HEAD if symbols is UNICODE else ASCII_HEAD


def draw_layout(layout: Layout, symbols: Symbols) -> Table:
    """Draw the layout as a table; names fold at words, numbers never."""
    padding = (0, layout.gap - 1, 0, 0)
    table = Table(box=choose_head(symbols), show_edge=False, pad_edge=False, padding=padding)
    table.add_column(layout.titles[0], overflow="fold")
    for title in layout.titles[1:]:
        table.add_column(title, justify="right", no_wrap=True)
    for row in layout.rows:
        # Names come from the user and may hold brackets, so they are given as Text, not as markup.
        table.add_row(*(Text(cell) for cell in row))
    return table


def list_rows(rows: list[list[str]], columns: Sequence[Column]) -> list[Text]:
    """List the same figures one below the other, for terminals without room for a table."""
    return [
        Text(line)
        for row in rows
        for line in (
            f"{row[0]}, n = {row[1]}",
            *(f"  {c.title}, {c.unit}: {cell}" for c, cell in zip(columns, row[2:], strict=True)),
        )
    ]


def make_panel(
    study: str,
    arms: Sequence[ArmMeasures],
    notes: list[str],
    symbols: Symbols = UNICODE,
    *,
    width: int = 120,
    reference: str | None = None,
    framed: bool = True,
) -> RenderableType:
    """Draw the table of a study in its panel, with the notes below it; without the frame where there is no room."""
    columns = pick_columns(arms, symbols)
    legend = f" SD with R, {symbols.plus_minus} its SD over resamples   [ ] 95 % over replicas "
    title = f" {printable(study)}: diversity by source "
    room = width - PANEL_FRAME if framed else width
    rows, narrow = (make_rows(arms, symbols, reference, wide=wide) for wide in (True, False))
    if find_wide_layout(rows, columns, room) is None and choose_layout(narrow, columns, room) is not None:
        rows, notes = narrow, notes + make_interval_notes(arms, symbols)
    notes = notes + make_published_notes(rows)
    return draw_panel(rows, columns, notes, symbols, width=width, title=title, legend=legend, framed=framed)


def draw_panel(
    rows: list[list[str]],
    columns: Sequence[Column],
    notes: list[str],
    symbols: Symbols,
    *,
    width: int,
    title: str,
    legend: str,
    framed: bool = True,
) -> RenderableType:
    """Draw rows of text in a panel, as a table where there is room for one, with notes below."""
    layout = choose_layout(rows, columns, width - PANEL_FRAME if framed else width)
    parts: list[RenderableType] = []
    if layout is None:
        parts += list_rows(rows, columns)
    else:
        parts.append(draw_layout(layout, symbols))
    if notes:
        parts += [Text(""), *(Text(note) for note in notes)]
    if not framed:
        return Group(Text(title.strip(), style="bold"), *parts, Text(legend.strip(), style="dim"))
    return Panel(
        Group(*parts),
        title=Text(title),
        subtitle=Text(legend) if len(legend) + PANEL_FRAME <= width else None,
        title_align="left",
        subtitle_align="right",
        box=symbols.frame,
    )
