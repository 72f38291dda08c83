"""Reads scalars that others have logged: a CSV export of W&B, MLflow or TensorBoard, by run, step and metric.

Either a column holds the names of metrics and another their values, or each metric has a column of its own.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from engine.errors import NondetError
from engine.training.commands.reports import MAX_NAME

RUN = ("run", "run_id", "run id", "run_name", "name", "id", "dir_name")
STEP = ("step", "_step", "epoch", "global_step")
METRIC = ("metric", "tag", "key", "measure")
VALUE = ("value", "values")

Steps = dict[int, dict[str, float]]
"""Step → metric → value."""


def read_scalars(path: Path) -> dict[str, Steps]:
    """Return the numbers of every run, by step and metric, runs in the order in which they first stand.

    Raises:
        NondetError: If the file is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise NondetError(f"{path}: cannot be read as a table ({error})") from error
    if len(rows) < 2:
        raise NondetError(f"{path}: holds no numbers: a heading and a line for each run and step are expected")
    head = [cell.strip() for cell in rows[0]]
    run = _find(head, RUN)
    if run is None:
        raise NondetError(f"{path}: has no column of runs (columns: {', '.join(head[:10])}): name one of them run")
    step, metric, value = (_find(head, names) for names in (STEP, METRIC, VALUE))
    runs: dict[str, Steps] = {}
    for row in rows[1:]:
        if len(row) != len(head):
            raise NondetError(f"{path}: a line has {len(row)} columns, and the heading has {len(head)}")
        number = 0 if step is None else _read_step(row[step])
        if number is None:
            continue
        figures = runs.setdefault(row[run], {}).setdefault(number, {})
        if metric is not None and value is not None:
            cells = {row[metric]: row[value]}
        else:
            cells = {name: row[i] for i, name in enumerate(head) if i not in (run, step) and name}
        figures |= {name[:MAX_NAME]: found for name, cell in cells.items() if (found := _read(cell)) is not None}
    if not any(figures for steps in runs.values() for figures in steps.values()):
        raise NondetError(f"{path}: holds no numbers beside runs and steps")
    return runs


def find_last(steps: Steps) -> dict[str, float]:
    """Return the last value of each metric, which is no finite number where a run diverged."""
    last: dict[str, float] = {}
    for step in sorted(steps):
        last |= steps[step]
    return last


def _find(head: Sequence[str], names: Sequence[str]) -> int | None:
    lower = [cell.lower() for cell in head]
    return next((lower.index(name) for name in names if name in lower), None)


def _read(cell: str) -> float | None:
    """Return the number of a cell, which may be nan or infinite; None where it is empty or a text."""
    try:
        return float(cell)
    except ValueError:
        return None


def _read_step(cell: str) -> int | None:
    value = _read(cell)
    return None if value is None else int(value)
