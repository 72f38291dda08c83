"""Matrices over pairs of replicas, R x R: how they are filled, so that little stands beside a large one.

Shapes: R replicas, N examples, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock

import numpy as np

from engine.metrics.parallel import each_in_parallel

Matrix = np.ndarray

CHOSEN_VALUES = 2**24
"""Predictions of all replicas that are compared with a class at once."""

ROWS_AT_ONCE = 512
"""Rows of a matrix over pairs that are worked on in one step, so that little stands beside the matrix itself."""

COUNTED_CLASSES = 64
"""With more classes than these, predictions are compared pair by pair."""


def mirror(matrix: Matrix) -> Matrix:
    """Copy what stands above the diagonal to below it, in place."""
    for start in range(0, len(matrix), ROWS_AT_ONCE):
        end = start + ROWS_AT_ONCE
        square = matrix[start:end, start:end]
        square[...] = np.triu(square) + np.triu(square, 1).T
        matrix[end:, start:end] = matrix[start:end, end:].T
    return matrix


def find_groups(
    count: int, find_candidates: Callable[[int], np.ndarray], are_equal: Callable[[int, int], bool]
) -> np.ndarray:
    """Return the first thing that each of some is equal to, int (R,); only with these is it compared.

    Args:
        count: R.
        find_candidates: Gives the things before one that it may be equal to.
        are_equal: Compares two.
    """
    group = np.arange(count)
    for i in range(count):
        for j in find_candidates(i):
            if group[j] == j and are_equal(i, int(j)):
                group[i] = j
                break
    return group


def disagreement_matrix(predictions: np.ndarray, classes: int) -> Matrix:
    """Return the percentage of examples on which two replicas predict different classes.

    Args:
        predictions: Predicted class, int (R, N).
        classes: C.

    Returns:
        float64 (R, R), zero on the diagonal.

    Source: paper, section 3.1, "pairwise disagreement".
    """
    matrix = np.empty((len(predictions), len(predictions)))
    for rows, part in iterate_disagreements(predictions, classes):
        matrix[rows] = part
    return matrix


def iterate_disagreements(predictions: np.ndarray, classes: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the disagreement matrix some rows at a time."""
    replicas, examples = predictions.shape
    compact = predictions.astype(np.min_scalar_type(classes))
    for start in range(0, replicas, ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, replicas))
        count = _compare if classes > COUNTED_CLASSES else _multiply
        agreements = count(compact, rows, classes)
        agreements /= examples
        np.subtract(1.0, agreements, out=agreements)
        agreements *= 100.0
        yield rows, agreements


def _compare(predictions: np.ndarray, rows: slice, _: int) -> np.ndarray:
    """Count the examples on which some replicas agree with each, pair by pair; float64 (rows, R)."""
    agreements = np.empty((rows.stop - rows.start, len(predictions)))

    def compare(i: int) -> None:
        for j, other in enumerate(predictions):
            agreements[i, j] = np.count_nonzero(predictions[rows.start + i] == other)

    each_in_parallel(compare, range(len(agreements)))
    return agreements


def _multiply(predictions: np.ndarray, rows: slice, classes: int) -> np.ndarray:
    """Count the same as products of rows that say where a class was predicted."""
    agreements, lock = np.zeros((rows.stop - rows.start, len(predictions))), Lock()

    def count(label: int) -> None:
        chosen = (predictions == label).astype(np.float32)
        # Counts below 2²⁴ are exact in float32; more examples are added up block by block.
        for start in range(0, chosen.shape[1], 2**24):
            part = chosen[:, start : start + 2**24]
            counts = part[rows] @ part.T
            with lock:  # whole numbers: their sum is the same in any order
                np.add(agreements, counts, out=agreements)

    each_in_parallel(count, range(classes), at_once=CHOSEN_VALUES // predictions.size)
    return agreements
