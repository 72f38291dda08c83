"""The table of measures, as rows of text and as a rich panel; what stands in it comes from metrics.json."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.catalog.published import PublishedRow, find_rows
from engine.protocol.faults import printable
from tui.text.format import UNICODE, Symbols, format_interval, format_number, format_with_error

Entry = dict[str, Any]

OUTSIDE = "*"
"""Behind published figures that the measured interval does not hold."""

NAME_WIDTH = 12
"""Columns that an arm's name gets at least before it is folded."""

MAX_WORD = 20
"""Longest word of a name that is not broken."""

PANEL_FRAME = 4
"""Columns of the panel's border and padding."""

ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""A line below the titles, of characters that every stream can show."""


class Titled(Protocol):
    """A column's head."""

    @property
    def title(self) -> str: ...
    @property
    def short(self) -> str: ...
    @property
    def unit(self) -> str: ...


@dataclass(frozen=True)
class Column:
    """One measure in the table."""

    title: str
    short: str
    """Title where there is little room."""
    unit: str
    value: str
    """Field of the entry."""
    error: str | None = None
    interval: str | None = None
    decimals: int = 2

    def format(self, entry: Entry, symbols: Symbols) -> str:
        """The cell of one arm."""
        value = entry.get(self.value)
        if self.error is not None:
            return format_with_error(value, entry.get(self.error), self.decimals, symbols)
        if self.interval is not None:
            return format_interval(value, entry.get(self.interval), self.decimals, symbols)
        return format_number(value, self.decimals, symbols)


def make_columns(symbols: Symbols = UNICODE, *, text: bool = False) -> tuple[Column, ...]:
    """The measures in the order of the paper's tables; `text` for those of language models."""
    delta = symbols.delta
    if text:
        change = Column(f"ensemble {delta}", f"ens {delta}", "perplexity", "ensemble_perplexity_delta",
                        interval="ensemble_perplexity_delta_ci")  # fmt: skip
        return (
            Column("perplexity", "PPL", "per word", "perplexity_mean"),
            Column("perplexity SD", "PPL SD", "per word", "perplexity_sd", error="perplexity_sd_error"),
            Column("accuracy", "acc", "%", "accuracy_mean"),
            Column("disagreement", "disagree", "%", "disagreement", interval="disagreement_ci"),
            change,
        )
    return (
        Column("accuracy", "acc", "%", "accuracy_mean"),
        Column("accuracy SD", "acc SD", "%", "accuracy_sd", error="accuracy_sd_error"),
        Column("cross-entropy SD", "CE SD", "nats", "cross_entropy_sd", error="cross_entropy_sd_error", decimals=4),
        Column("disagreement", "disagree", "%", "disagreement", interval="disagreement_ci"),
        Column("correlation", "corr", "Spearman", "correlation", interval="correlation_ci", decimals=3),
        Column(f"ensemble {delta}", f"ens {delta}", "% points", "ensemble_delta", interval="ensemble_delta_ci"),
    )


def are_text(entries: list[Entry]) -> bool:
    """Whether a study's arms are language models."""
    return any(entry.get("text") for entry in entries)


def format_n(entry: Entry) -> str:
    """Replicas behind a row; "5 of 20" where not all planned ones are."""
    n, planned = entry.get("n", 0), entry.get("planned", 0)
    return str(n) if n == planned else f"{n} of {planned}"


def arm_name(entry: Entry) -> str:
    """An arm's name as harmless text."""
    return printable(str(entry.get("name", "?")))


def make_rows(
    entries: list[Entry], symbols: Symbols = UNICODE, reference: str | None = None, *, indent: str = "  "
) -> list[list[str]]:
    """One row per arm: name, n, then a cell per column; below it what was published of it, if anything.

    Args:
        entries: The arms of metrics.json.
        symbols: What can be shown.
        reference: The published table to look rows up in.
        indent: Before the names of published rows.
    """
    columns, rows = make_columns(symbols, text=are_text(entries)), []
    for entry in entries:
        rows.append([arm_name(entry), format_n(entry), *(column.format(entry, symbols) for column in columns)])
        for published in find_rows(reference, arm_name(entry)) if reference else ():
            cells = [format_published(column, published, entry, symbols) for column in columns]
            rows.append([f"{indent}{published.kind}", str(published.replicas), *cells])
    return rows


def format_published(column: Column, row: PublishedRow, entry: Entry, symbols: Symbols = UNICODE) -> str:
    """A published figure with the digits that it was published with; OUTSIDE marks what the measurement excludes."""
    value = row.figures.get(column.value)
    if value is None:
        return symbols.missing
    mark = f" {OUTSIDE}" if is_outside(column, value, entry) else ""
    if column.error is None:
        return f"{value:g}{mark}"
    return f"{value:g} {symbols.plus_minus} {row.figures[column.error]:g}{mark}"


def is_outside(column: Column, published: float, entry: Entry) -> bool:
    """Whether a published value lies outside the measured 95 % interval; for an SD, 1.96 times its error around it."""
    value = entry.get(column.value)
    if value is None:
        return False
    if column.error is not None:
        error = entry.get(column.error)
        return error is not None and abs(published - value) > 1.96 * error
    interval = entry.get(column.interval or "")
    return interval is not None and not interval[0] <= published <= interval[1]


def make_published_notes(rows: list[list[str]]) -> list[str]:
    """What the marks mean, where there are any."""
    marked = any(cell.endswith(f" {OUTSIDE}") for row in rows for cell in row)
    return [f"{OUTSIDE} outside the measured 95 % interval"] if marked else []


def make_notes(entries: list[Entry], empty: dict[str, dict[str, str]] | None = None) -> list[str]:
    """What a reader has to know beside the numbers: controls, losses, reasons.

    Args:
        entries: The arms of metrics.json.
        empty: Arm → source → why it changes nothing there.
    """
    notes = []
    for entry in entries:
        name = arm_name(entry)
        if not entry.get("vary") and entry.get("ensemble_size", 1) == 1 and entry.get("identical_weights") is not None:
            notes.append(f"{name}: {_control_verdict(entry)}")
        reasons = entry.get("reasons") or {}
        counted = {"damaged", "diverged"}
        notes += [f"{name}: {printable(reasons[key])}" for key in sorted(counted & set(reasons))]
        others = {reason for key, reason in reasons.items() if key not in counted}
        notes += [f"{name}: {printable(reason)}" for reason in sorted(others)]
        notes += [f"{name}: {printable(reason)}" for reason in (empty or {}).get(entry.get("name", ""), {}).values()]
    return notes


def _control_verdict(entry: Entry) -> str:
    if entry["identical_weights"]:
        return f"{entry['n']} replicas with identical weights: what does not vary is held"
    return f"{entry['n']} replicas with DIFFERENT weights: something varies that should not, so do not trust this study"


def stack(cell: str) -> str:
    """A cell with its error or interval below the value, as narrow as it gets without losing a digit."""
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
        """Columns of the terminal that it needs; names of arms may be folded between words."""
        columns = list(zip(self.titles, *self.rows, strict=True))
        widths = [max(len(line) for cell in column for line in cell.split("\n")) for column in columns]
        longest_word = max((len(word) for row in self.rows for word in row[0].split()), default=0)
        name = min(widths[0], max(NAME_WIDTH, min(longest_word, MAX_WORD)))
        return name + sum(widths[1:]) + self.gap * (len(widths) - 1)


def choose_layout(rows: list[list[str]], columns: Sequence[Titled], width: int) -> Layout | None:
    """The widest layout that fits; None where none does without breaking numbers."""
    titles = ["source\n", "n\n", *(f"{column.title}\n{column.unit}" for column in columns)]
    short = ["source\n", "n\n", *(f"{column.short}\n{column.unit}" for column in columns)]
    stacked = [[row[0], row[1].replace(" of", "\nof"), *map(stack, row[2:])] for row in rows]
    wide = (Layout(titles, rows, 3), Layout(titles, rows, 2), Layout(short, rows, 2))
    layouts = (*wide, Layout(short, stacked, 2), Layout(short, stacked, 1))
    return next((layout for layout in layouts if layout.measure_width() <= width), None)


def draw_layout(layout: Layout, symbols: Symbols) -> Table:
    """The layout as a table; names fold at words, numbers never."""
    padding = (0, layout.gap - 1, 0, 0)
    style = box.SIMPLE_HEAD if symbols is UNICODE else ASCII_HEAD
    table = Table(box=style, show_edge=False, pad_edge=False, padding=padding)
    table.add_column(layout.titles[0], overflow="fold")
    for title in layout.titles[1:]:
        table.add_column(title, justify="right", no_wrap=True)
    for row in layout.rows:
        # Text, not markup: names are the user's and may hold brackets.
        table.add_row(*(Text(cell) for cell in row))
    return table


def list_rows(rows: list[list[str]], columns: Sequence[Titled]) -> list[Text]:
    """The same figures one below the other, for terminals without room for a table."""
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
    entries: list[Entry],
    notes: list[str],
    symbols: Symbols = UNICODE,
    *,
    width: int = 120,
    reference: str | None = None,
    framed: bool = True,
) -> RenderableType:
    """The table of a study in its panel, with the notes below the table; without the frame where there is no room."""
    rows = make_rows(entries, symbols, reference)
    columns = make_columns(symbols, text=are_text(entries))
    legend = f" {symbols.plus_minus} SD of the SD over replicas   [ ] 95 % over replicas "
    title = f" {printable(study)}: diversity by source "
    notes = notes + make_published_notes(rows)
    return draw_panel(rows, columns, notes, symbols, width=width, title=title, legend=legend, framed=framed)


def draw_panel(
    rows: list[list[str]],
    columns: Sequence[Titled],
    notes: list[str],
    symbols: Symbols,
    *,
    width: int,
    title: str,
    legend: str,
    framed: bool = True,
) -> RenderableType:
    """Rows of text in a panel, as a table where there is room for one, with notes below."""
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
        box=box.ROUNDED if symbols is UNICODE else box.ASCII,
    )
