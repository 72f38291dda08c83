"""Reads arrays that a user's program has written: .npy, .npz, .safetensors, .pt and .csv; none can run code."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from engine.errors import NondetError

SUFFIXES = (".npy", ".npz", ".safetensors", ".pt", ".csv")

PREDICTIONS = ("logits", "predictions", "probabilities")
LABELS = ("labels", "targets", "y_test", "y_true")
"""Names that arrays, and files of them, usually have."""

UNTRUSTED = ("allow_pickle", "Weights only load failed")
"""Words in which readers advise to load the objects of a file, which would run what it says."""


def read_array(path: Path, names: Sequence[str] = PREDICTIONS) -> np.ndarray:
    """Read the array of a file; a .npy file is mapped, not read.

    Args:
        path: The file.
        names: What the array may be called where the file holds several.

    Raises:
        NondetError: If the file is missing, damaged, of another kind, or holds several arrays without a usual name.
    """
    if path.suffix not in SUFFIXES:
        raise NondetError(f"{path}: is no file of arrays that can be read: use {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise NondetError(f"{path}: does not exist, or is no file")
    try:
        array = _read(path, names)
    except NondetError:
        raise
    except Exception as error:  # what the readers raise for damaged files has no common class
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        if any(word in reason for word in UNTRUSTED):
            reason = "it is no array file, or holds Python objects, which are never loaded"
            raise NondetError(f"{path}: cannot be read as an array ({reason}): write numbers alone") from error
        raise NondetError(f"{path}: cannot be read as an array ({reason}): write it again as a whole") from error
    if array.dtype.kind not in "fiub":
        raise NondetError(f"{path}: holds {array.dtype}, not numbers")
    return array


def _read(path: Path, names: Sequence[str]) -> np.ndarray:
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return archive[_choose(path, archive.files, names)]
    if path.suffix == ".safetensors":
        from safetensors import safe_open  # noqa: PLC0415 - only for such files

        with safe_open(path, framework="np") as file:
            return file.get_tensor(_choose(path, list(file.keys()), names))
    return _read_torch(path, names) if path.suffix == ".pt" else _read_table(path)


def _choose(path: Path, held: list[str], names: Sequence[str]) -> str:
    """Choose one of the arrays of a file: the only one, or one of a usual name."""
    if len(held) == 1:
        return held[0]
    found = next((name for name in names if name in held), None)
    if found is None:
        shown = ", ".join(sorted(held)[:8])
        raise NondetError(f"{path}: holds {len(held)} arrays ({shown}): name one of them {names[0]}")
    return found


def _read_torch(path: Path, names: Sequence[str]) -> np.ndarray:
    import torch  # noqa: PLC0415 - only for such files

    content: Any = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, dict):
        named = {str(key): value for key, value in cast("dict[Any, Any]", content).items() if torch.is_tensor(value)}
        content = named[_choose(path, list(named), names)]
    if not torch.is_tensor(content):
        raise NondetError(f"{path}: holds no tensor")
    numbers: np.ndarray = content.to(torch.float32 if content.is_floating_point() else torch.int64).numpy()
    return numbers


def _read_table(path: Path) -> np.ndarray:
    """Read a table of numbers; a first line that is none is its heading. One column is an array (N,)."""
    with path.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if rows and not _are_numbers(rows[0]):
        rows = rows[1:]
    if not rows or len({len(row) for row in rows}) != 1:
        raise NondetError(f"{path}: its lines have different numbers of columns, or there are none")
    values = np.array(rows, dtype=np.float64)
    return values[:, 0] if values.shape[1] == 1 else values


def _are_numbers(row: list[str]) -> bool:
    try:
        [float(cell) for cell in row]
    except ValueError:
        return False
    return True
