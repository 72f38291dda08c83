"""Finds the replicas of an arm among files that are there already: one array of all, or a file or folder for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engine.errors import NondetError
from engine.training.commands.arrays import LABELS, PREDICTIONS, SUFFIXES, read_array

NUMBERS = re.compile(r"(\d+)")


def iterate_replicas(path: Path, kind: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the predictions of each replica with the name of where they are; one is read at a time.

    Args:
        path: A file that holds one replica, (N, C), or all of them, (R, N, C), or a folder of runs. Classes have one
            dimension less.
        kind: logits, probabilities or classes.

    Raises:
        NondetError: If there is nothing, or it has another shape.
    """
    alone = 1 if kind == "classes" else 2
    if path.is_dir():
        for file in list_files(path):
            array = read_array(file)
            if array.ndim != alone:
                raise NondetError(f"{file}: has shape {array.shape}, not that of one run's {kind}, {_describe(alone)}")
            yield str(file), array
        return
    array = read_array(path)
    if array.ndim == alone:
        yield str(path), array
    elif array.ndim == alone + 1:
        for replica, one in enumerate(array, start=1):
            yield f"{path}, replica {replica}", one
    else:
        raise NondetError(
            f"{path}: has shape {array.shape}, and {kind} {_describe(alone)} of one run, or one dimension "
            "more for all of them, are expected"
        )


def _describe(dimensions: int) -> str:
    return {1: "(N,)", 2: "(N, C)", 3: "(R, N, C)"}[dimensions]


def list_files(folder: Path) -> list[Path]:
    """Return a file for each run of a folder, in the order of the numbers in their names.

    Raises:
        NondetError: If there is none, or a run's folder holds several that might be meant.
    """
    files = [path for path in folder.iterdir() if path.is_file() and _holds_predictions(path)]
    if not files:
        runs = [run for run in folder.iterdir() if run.is_dir() and any(map(_holds_predictions, run.iterdir()))]
        files = [_find_in_run(run) for run in runs]
    if not files:
        raise NondetError(f"{folder}: holds no file of arrays ({', '.join(SUFFIXES)}), nor folders that do")
    return sorted(files, key=lambda path: _order(path.relative_to(folder).as_posix()))


def _holds_predictions(path: Path) -> bool:
    return path.suffix in SUFFIXES and path.stem not in LABELS and not path.name.startswith(".")


def _find_in_run(run: Path) -> Path:
    files = sorted(path for path in run.iterdir() if path.is_file() and _holds_predictions(path))
    usual = [path for path in files if path.stem in PREDICTIONS]
    if len(files) > 1 and len(usual) != 1:
        raise NondetError(f"{run}: holds {', '.join(path.name for path in files[:6])}: name one of them predictions")
    return usual[0] if usual else files[0]


def _order(name: str) -> list[tuple[int, int | str]]:
    """Return what names are sorted by: their numbers as numbers."""
    return [(1, int(part)) if part.isdigit() else (0, part) for part in NUMBERS.split(name)]


def find_labels(path: Path) -> Path | None:
    """Return the file of true classes beside or in a path; None where there is none."""
    folder = path if path.is_dir() else path.parent
    candidates = [folder / f"{name}{suffix}" for name in LABELS for suffix in SUFFIXES]
    return next((one for one in candidates if one.is_file()), None)
