"""Predictions that were compared with their digests: kept beside the measures, so that none is read without need.

A file that looks as it did (size and times of its last change) and whose result names the same digest is not read
again for measures that are there already. Whatever is measured anew is compared again when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.study.files import read_json

FORMAT = 1

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
"""By run id."""


def look_at(path: Path) -> Look:
    """Return how a file looks from outside.

    Raises:
        OSError: If it is not there.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_seen(path: Path) -> Seen:
    """Read what was compared before; nothing where the file is absent, damaged or of another version."""
    content = read_json(path) or {}
    runs = content.get("runs")
    if content.get("v") != FORMAT or not isinstance(runs, dict):
        return {}
    found = {run: _parse(entry) for run, entry in runs.items()}
    return {run: checked for run, checked in found.items() if checked is not None}


def _parse(entry: Any) -> Checked | None:
    try:
        size, changed, touched, sha256, shape, dtype, finite = entry
        # A structured type is written as its list of (name, type) pairs.
        kind = np.dtype([tuple(pair) for pair in dtype]) if isinstance(dtype, list) else np.dtype(dtype)
        look = (int(size), int(changed), int(touched))
        return Checked(look, str(sha256), tuple(int(n) for n in shape), kind, finite is True)
    except (TypeError, ValueError):
        return None


def format_seen(seen: Seen) -> dict[str, Any]:
    """Give the content of the file; inverse of `read_seen`."""
    runs = {
        run: [*checked.look, checked.sha256, list(checked.shape), _describe(checked.dtype), checked.finite]
        for run, checked in seen.items()
    }
    return {"v": FORMAT, "runs": runs}


def _describe(dtype: np.dtype) -> Any:
    return [list(pair) for pair in dtype.descr] if dtype.names else dtype.str
