"""The table of measures, as rows of text and as a rich panel; what stands in it comes from metrics.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.protocol.faults import printable

from .format import UNICODE, Symbols, format_interval, format_number, format_with_error

Entry = dict[str, Any]

CONTROL_DIGITS = 12


@dataclass(frozen=True)
class Column:
    """One measure in the table."""

    title: str
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


def make_columns(symbols: Symbols = UNICODE) -> tuple[Column, ...]:
    """The measures in the order of the paper's tables."""
    return (
        Column("accuracy", "%", "accuracy_mean"),
        Column("accuracy SD", "%", "accuracy_sd", error="accuracy_sd_error"),
        Column("cross-entropy SD", "nats", "cross_entropy_sd", error="cross_entropy_sd_error", decimals=4),
        Column("disagreement", "%", "disagreement", interval="disagreement_ci"),
        Column("correlation", "Spearman", "correlation", interval="correlation_ci", decimals=3),
        Column(f"ensemble {symbols.delta}", "% points", "ensemble_delta", interval="ensemble_delta_ci"),
    )


def format_n(entry: Entry) -> str:
    """Replicas behind a row; "5 of 20" where not all planned ones are."""
    n, planned = entry.get("n", 0), entry.get("planned", 0)
    return str(n) if n == planned else f"{n} of {planned}"


def arm_name(entry: Entry) -> str:
    """An arm's name as harmless text."""
    return printable(str(entry.get("name", "?")))


def make_rows(entries: list[Entry], symbols: Symbols = UNICODE) -> list[list[str]]:
    """One row per arm: name, n, then a cell per column."""
    columns = make_columns(symbols)
    return [[arm_name(e), format_n(e), *(column.format(e, symbols) for column in columns)] for e in entries]


def make_notes(entries: list[Entry], empty: dict[str, dict[str, str]] | None = None) -> list[str]:
    """What a reader has to know beside the numbers: controls, losses, reasons.

    Args:
        entries: The arms of metrics.json.
        empty: Arm → source → why it changes nothing there.
    """
    notes = []
    for entry in entries:
        name = arm_name(entry)
        if not entry.get("vary") and entry.get("identical_weights") is not None:
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


def make_table(entries: list[Entry], symbols: Symbols = UNICODE) -> Table:
    """The table without its panel."""
    table = Table(box=box.SIMPLE_HEAD if symbols is UNICODE else box.ASCII2, show_edge=False, pad_edge=False)
    table.add_column("source\n", overflow="fold", min_width=12)
    table.add_column("n\n", justify="right", no_wrap=True)
    for column in make_columns(symbols):
        table.add_column(f"{column.title}\n{column.unit}", justify="right", overflow="fold")
    for row in make_rows(entries, symbols):
        # Text, not markup: names are the user's and may hold brackets.
        table.add_row(*(Text(cell) for cell in row))
    return table


def make_panel(study: str, entries: list[Entry], notes: list[str], symbols: Symbols = UNICODE) -> RenderableType:
    """The table of a study in its panel, with the notes below the table."""
    parts: list[RenderableType] = [make_table(entries, symbols)]
    if notes:
        parts += [Text(""), *(Text(note) for note in notes)]
    title = Text(f" {printable(study)}: diversity by source ")
    legend = f" {symbols.plus_minus} SD of the SD over replicas   [ ] 95 % over replicas "
    return Panel(
        Group(*parts),
        title=title,
        subtitle=Text(legend),
        title_align="left",
        subtitle_align="right",
        box=box.ROUNDED if symbols is UNICODE else box.ASCII,
    )
