"""The rows of published tables, found by the names of arms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import msgspec
import tomli

from engine.catalog.measures import list_columns

Kind = Literal["published", "replicated"]

REPLICATED_TABLES = ("table1", "table3")
"""The tables that the replication repeated."""

CONTROL = "control"


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table."""

    kind: Kind
    name: str
    replicas: int
    figures: dict[str, float]
    """By the names of `list_published`."""
    rounding: dict[str, float]
    """Half a unit of the last digit that is printed in the column of each figure."""


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a table as its file has it: named, or told from others by what varies and how long it trains."""

    name: str = ""
    model: str | None = None
    vary: str | None = None
    max_lr: float = 0.0
    epochs: int = 0
    replicas: int
    cls: tuple[float, ...] | None = None
    lm: tuple[float, ...] | None = None


@cache
def read_tables() -> dict[str, tuple[PublishedRow, ...]]:
    """Read the paper's tables by name, table1 to table8.

    Source: Summers & Dinneen, tables 1 to 8.
    """
    content = _read("paper.toml")
    return {
        table: _make_rows("published", _convert(parts))
        for table, parts in content.items()
        if any("cls" in row or "lm" in row for row in parts.get("rows", ()))
    }


@cache
def read_replication() -> tuple[PublishedRow, ...]:
    """Read the rows of the independent replication.

    Source: ML Reproducibility Challenge 2021, https://openreview.net/forum?id=BNefkaG73At.
    """
    content = _read("replication.toml")
    return _make_rows("replicated", _convert(content))


@cache
def read_condition_numbers() -> dict[str, float]:
    """Read lower bounds of the condition number of training, for cross-entropy in nats and accuracy in percent.

    Source: Summers & Dinneen, section 4.1, from one run with a moved bit and its twin without.
    """
    content: dict[str, float] = _read("paper.toml")["instability"]["condition_number"]
    return content


def _name_entry(entry: _Entry) -> str:
    """Return what an arm has to be called to be shown beside a row: the row's name, with what tells it from others."""
    if entry.vary is not None:
        return f"{entry.vary}, lr {entry.max_lr:.2f}, {entry.epochs} epochs"
    return entry.name if entry.model is None else f"{entry.model}: {entry.name}"


def find_rows(table: str, arm: str) -> tuple[PublishedRow, ...]:
    """Find the published and the replicated row of an arm, as far as there are any; names are compared without case."""
    rows = list(read_tables().get(table, ()))
    if table in REPLICATED_TABLES:
        rows += read_replication()
    return tuple(row for row in rows if _key(row.name) == _key(arm))


def _key(name: str) -> str:
    words = name.lower().split()
    return CONTROL if CONTROL in name.lower() else " ".join(words)


def _make_rows(kind: Kind, entries: list[_Entry]) -> tuple[PublishedRow, ...]:
    """Return the rows of a table with their figures by name."""
    digits: dict[str, int] = {}
    for entry in entries:
        for field, figure in _name_figures(entry).items():
            digits[field] = max(digits.get(field, 0), len(f"{figure!r}".partition(".")[2]))
    rows: list[PublishedRow] = []
    for entry in entries:
        figures = _name_figures(entry)
        rounding = {field: 0.5 * 10.0 ** -digits[field] for field in figures}
        rows.append(PublishedRow(kind, _name_entry(entry), entry.replicas, figures, rounding))
    return tuple(rows)


def _name_figures(entry: _Entry) -> dict[str, float]:
    text = entry.cls is None
    return dict(zip(list_published(text=text), (entry.lm if text else entry.cls) or (), strict=True))


def _convert(table: dict[str, Any]) -> list[_Entry]:
    """Return the rows of a table; its number of replicas holds where a row gives none of its own."""
    return msgspec.convert([{"replicas": table.get("replicas"), **row} for row in table["rows"]], list[_Entry])


def list_published(*, text: bool) -> tuple[str, ...]:
    """Return what the numbers of a row are: fields of measures in the units of metrics.json, without intervals."""
    columns = list_columns("published", text=text)
    return tuple(field for column in columns for field in column.fields if field != column.interval_field)


def _read(name: str) -> dict[str, Any]:
    return tomli.loads((resources.files("engine.catalog") / name).read_text(encoding="utf-8"))
