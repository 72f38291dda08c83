"""The embedded data set: scikit-learn's handwritten digits, read from its wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from engine.errors import DataError

FILE = Path("datasets/data/digits.csv.gz")


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return images 0…16, float64 (1797, 8, 8), and labels, int64 (1797,), in the file's order; other writers are last.

    The file is read without importing scikit-learn, which would take every worker a second at its start.

    Raises:
        DataError: If scikit-learn is not installed, or is without the file.

    Source: UCI "Optical Recognition of Handwritten Digits", its test part; sklearn.datasets.load_digits.
    """
    spec = importlib.util.find_spec("sklearn")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    found = [folder / FILE for folder in folders if (folder / FILE).is_file()]
    if not found:
        raise DataError(f"digits: {FILE} of scikit-learn is missing: install scikit-learn anew with pip")
    rows = np.loadtxt(found[0], delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
