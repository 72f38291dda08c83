"""The rows of published tables, found by the names of arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal

import msgspec
import tomli

from engine.catalog.measures import list_columns
from engine.decoding import convert

Kind = Literal["published", "replicated"]

ALIKE = ("table1", "table3")
"""Tables of the same network, data and training: an arm beside one of them may have its row in the other."""

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
    baseline: Mapping[str, float] = field(default_factory=dict[str, float])
    """Figures of one published network that was trained as the row's were, by the measure of their mean."""


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a table as its file has it: named, or told from others by what varies and how long it trains."""

    name: str = ""
    model: str | None = None
    vary: str | None = None
    max_lr: float = 0.0
    epochs: int = 0
    replicas: int
    baseline: str | None = None
    cls: tuple[float, ...] | None = None
    lm: tuple[float, ...] | None = None


@cache
def read_tables() -> dict[str, tuple[PublishedRow, ...]]:
    """Read the paper's tables by name: table1 to table8, and reduction.

    Source: Summers & Dinneen, tables 1 to 8; of the revision for ICML 2021 what the replication prints of it.
    """
    return _read_rows("published", _read("paper.toml"))


@cache
def read_replication() -> dict[str, tuple[PublishedRow, ...]]:
    """Read the tables of the independent replication, by the paper's name where it repeats one of the paper's.

    Source: ML Reproducibility Challenge 2021, https://openreview.net/forum?id=BNefkaG73At.
    """
    return _read_rows("replicated", _read("replication.toml"))


def list_tables() -> tuple[str, ...]:
    """Return the names of all tables, the paper's first."""
    return tuple(dict.fromkeys((*read_tables(), *read_replication())))


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
    """Find the published and the replicated rows of an arm, as far as there are any; case does not matter."""
    tables = ALIKE if table in ALIKE else (table,)
    rows = [row for read in (read_tables, read_replication) for name in tables for row in read().get(name, ())]
    return tuple(row for row in rows if _key(row.name) == _key(arm))


def _key(name: str) -> str:
    words = name.lower().split()
    return CONTROL if CONTROL in name.lower() else " ".join(words)


def _read_rows(kind: Kind, content: dict[str, Any]) -> dict[str, tuple[PublishedRow, ...]]:
    """Return the rows of every table in a file."""
    baselines: dict[str, dict[str, float]] = content.get("baseline", {})
    return {
        table: _make_rows(kind, _convert(parts), baselines)
        for table, parts in content.items()
        if any("cls" in row or "lm" in row for row in parts.get("rows", ()))
    }


def _make_rows(kind: Kind, entries: list[_Entry], baselines: dict[str, dict[str, float]]) -> tuple[PublishedRow, ...]:
    """Return the rows of a table with their figures by name."""
    digits: dict[str, int] = {}
    for entry in entries:
        for name, figure in _name_figures(entry).items():
            digits[name] = max(digits.get(name, 0), len(f"{figure!r}".partition(".")[2]))
    rows: list[PublishedRow] = []
    for entry in entries:
        figures = _name_figures(entry)
        rounding = {name: 0.5 * 10.0 ** -digits[name] for name in figures}
        baseline = baselines[entry.baseline] if entry.baseline is not None else {}
        rows.append(PublishedRow(kind, _name_entry(entry), entry.replicas, figures, rounding, baseline))
    return tuple(rows)


def _name_figures(entry: _Entry) -> dict[str, float]:
    text = entry.cls is None
    return dict(zip(list_published(text=text), (entry.lm if text else entry.cls) or (), strict=True))


def _convert(table: dict[str, Any]) -> list[_Entry]:
    """Return the rows of a table; its replicas and its baseline hold where a row gives none of its own."""
    shared = {key: table[key] for key in ("replicas", "baseline") if key in table}
    return convert([{**shared, **row} for row in table["rows"]], list[_Entry])


def list_published(*, text: bool) -> tuple[str, ...]:
    """Return what the numbers of a row are: fields of measures in the units of metrics.json, without intervals."""
    columns = list_columns("published", text=text)
    return tuple(field for column in columns for field in column.fields if field != column.interval_field)


def _read(name: str) -> dict[str, Any]:
    return tomli.loads((resources.files("engine.catalog") / name).read_text(encoding="utf-8"))
