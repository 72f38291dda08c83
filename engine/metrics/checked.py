"""Keeps what a measurement was based on beside the measures, so that nothing is measured or read without need.

A file that looks as it did (size and times of its last change) and whose result names the same digest is not read
again for measures that are there already. Whatever is measured anew is compared again when it is read.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.study.checked_record import CheckedFile, CheckedFiles
from engine.study.records import find_record, write_record

NUMBERS = re.compile(r"[<>=|]?[biuf][0-9]{1,2}")
"""numpy's names of types of numbers: nothing else is handed to its parser."""

Look = tuple[int, int, int]
"""Size in bytes, times of the last change of content and of anything in nanoseconds."""


@dataclass(frozen=True)
class Checked:
    """One file of predictions that matched its digest."""

    look: Look
    sha256: str
    shape: tuple[int, ...]
    dtype: np.dtype
    finite: bool
    """Whether all predictions are numbers."""


Seen = dict[str, Checked]
"""Predictions that were compared with their digests, by run id."""


@dataclass(frozen=True)
class Basis:
    """The basis of a measurement: which measures were declared, and which predictions had been checked."""

    measures: str = ""
    """Digest of the declared measures."""
    seen: Seen = field(default_factory=dict[str, Checked])


def look_at(path: Path) -> Look:
    """Return how a file looks from outside.

    Raises:
        OSError: If it is not there.
    """
    return describe_look(path.stat())


def describe_look(status: os.stat_result) -> Look:
    """Return how a file looks from outside, as its status has it."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_basis(path: Path) -> Basis:
    """Read what the last measurement was based on; empty where the file is absent, damaged or of another version."""
    content = find_record(path, CheckedFiles)
    try:
        return Basis() if content is None else Basis(content.measures, {r: _parse(f) for r, f in content.runs.items()})
    except (TypeError, ValueError):  # a type that this numpy does not know, or none
        return Basis()


def _parse(file: CheckedFile) -> Checked:
    fields = (("", file.dtype),) if isinstance(file.dtype, str) else file.dtype
    if not all(NUMBERS.fullmatch(kind) for _, kind in fields):
        raise ValueError(f"{file.dtype} is no type of numbers")
    dtype = np.dtype(file.dtype if isinstance(file.dtype, str) else list(file.dtype))
    return Checked((file.size, file.changed_ns, file.touched_ns), file.sha256, file.shape, dtype, file.finite)


def write_basis(path: Path, basis: Basis) -> None:
    """Write what a measurement was based on; inverse of `read_basis`."""
    runs = {run: _describe(checked) for run, checked in basis.seen.items()}
    write_record(path, CheckedFiles(measures=basis.measures, runs=runs), compact=True)


def _describe(checked: Checked) -> CheckedFile:
    size, changed, touched = checked.look
    dtype = checked.dtype
    return CheckedFile(
        size=size,
        changed_ns=changed,
        touched_ns=touched,
        sha256=checked.sha256,
        shape=checked.shape,
        dtype=tuple((name, dtype[name].str) for name in dtype.names) if dtype.names else dtype.str,
        finite=checked.finite,
    )
