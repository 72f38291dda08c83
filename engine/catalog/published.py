"""The rows of published tables, found by the names of arms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

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


@cache
def read_tables() -> dict[str, tuple[PublishedRow, ...]]:
    """Read the paper's tables by name, table1 to table8.

    Source: Summers & Dinneen, tables 1 to 8.
    """
    content = _read("paper.toml")
    return {
        table: tuple(_row("published", row_name(row), row, parts) for row in parts["rows"])
        for table, parts in content.items()
        if any("cls" in row or "lm" in row for row in parts.get("rows", ()))
    }


@cache
def read_replication() -> tuple[PublishedRow, ...]:
    """Read the rows of the independent replication.

    Source: ML Reproducibility Challenge 2021, https://openreview.net/forum?id=BNefkaG73At.
    """
    content = _read("replication.toml")
    return tuple(_row("replicated", row["name"], row, content) for row in content["rows"])


@cache
def read_condition_numbers() -> dict[str, float]:
    """Read lower bounds of the condition number of training, for cross-entropy in nats and accuracy in percent.

    Source: Summers & Dinneen, section 4.1, from one run with a moved bit and its twin without.
    """
    content: dict[str, float] = _read("paper.toml")["instability"]["condition_number"]
    return content


def row_name(row: dict[str, Any]) -> str:
    """Return what an arm has to be called to be shown beside a row: the row's name, with what tells it from others."""
    if "vary" in row:
        return f"{row['vary']}, lr {row['max_lr']:.2f}, {row['epochs']} epochs"
    return f"{row['model']}: {row['name']}" if "model" in row else str(row["name"])


def find_rows(table: str, arm: str) -> tuple[PublishedRow, ...]:
    """Find the published and the replicated row of an arm, as far as there are any; names are compared without case."""
    rows = list(read_tables().get(table, ()))
    if table in REPLICATED_TABLES:
        rows += read_replication()
    return tuple(row for row in rows if _key(row.name) == _key(arm))


def _key(name: str) -> str:
    words = name.lower().split()
    return CONTROL if CONTROL in name.lower() else " ".join(words)


def _row(kind: Kind, name: str, row: dict[str, Any], table: dict[str, Any]) -> PublishedRow:
    replicas: int = row["replicas"] if "replicas" in row else table["replicas"]
    text = "cls" not in row
    figures = map(float, row["lm" if text else "cls"])
    return PublishedRow(kind, name, replicas, dict(zip(list_published(text=text), figures, strict=True)))


def list_published(*, text: bool) -> tuple[str, ...]:
    """Return what the numbers of a row are: fields of measures in the units of metrics.json, without intervals."""
    columns = list_columns("published", text=text)
    return tuple(field for column in columns for field in column.fields if field != column.interval_field)


def _read(name: str) -> dict[str, Any]:
    return tomli.loads((resources.files("engine.catalog") / name).read_text(encoding="utf-8"))
