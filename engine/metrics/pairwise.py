"""Measures between two replicas, for all pairs at once: R x R matrices from R sets of logits.

What scipy would do per pair is done per replica: ranks are computed once, and all correlations are one matrix
product, as are all disagreements. Only the ensembles of two have to be formed pair by pair.

Shapes: R replicas, N examples, C classes.
"""

from __future__ import annotations

import sys

import numpy as np

from engine.metrics.formulas import UndefinedError
from engine.metrics.outputs import IMAGE_FORMULAS, ImageOutputs
from engine.metrics.parallel import each_in_parallel

Matrix = np.ndarray

EXACT_RANKS = 2**22
"""Fewer values than this have centred ranks, multiples of one half, that float32 holds exactly."""

PRODUCT_COLUMNS = 4096
"""Columns whose products are summed in the rows' own precision."""


def disagreement_matrix(predictions: np.ndarray, classes: int) -> Matrix:
    """Return the percentage of examples on which two replicas predict different classes.

    Args:
        predictions: Predicted class, int (R, N).
        classes: C.

    Returns:
        float64 (R, R), zero on the diagonal.

    Source: paper, section 3.1, "pairwise disagreement".
    """
    replicas, examples = predictions.shape
    agreements = np.zeros((replicas, replicas))
    for label in range(classes):
        chosen = (predictions == label).astype(np.float32)
        # Counts below 2²⁴ are exact in float32; more examples are added up block by block.
        for start in range(0, examples, 2**24):
            part = chosen[:, start : start + 2**24]
            agreements += part @ part.T
    return 100.0 * (1.0 - agreements / examples)


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks of some numbers, ties sharing their mean rank, less the mean of all ranks.

    Args:
        values: Float (M,), no NaN.

    Returns:
        float32 (M,), or float64 where that could not hold them: multiples of one half, of sum zero.
    """
    order, repeats = _sort_order(values)
    precision = np.float32 if len(values) < EXACT_RANKS else np.float64
    places = (np.arange(len(values)) - (len(values) - 1) / 2).astype(precision)
    ranks = np.empty(len(values), dtype=precision)
    ranks[order] = _mean_over_ties(places, repeats) if repeats.any() else places
    return ranks


def _mean_over_ties(places: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """Replace each place by the middle of its run of equal values, the sorted places a…b by (a+b)/2."""
    starts = np.flatnonzero(np.concatenate(([True], ~repeats)))
    ends = np.append(starts[1:], len(places)) - 1
    return np.repeat((places[starts] + places[ends]) / 2, ends - starts + 1)


def _sort_order(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return indices that sort the values, and whether each sorted value but the first equals the one before it.

    float32 numbers are sorted together with their index as one 64-bit key, several times as fast as argsort:
    the bits of a positive float order like integers, those of a negative one the other way round.
    """
    if values.dtype != np.float32 or len(values) >= 2**32:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        return order, ordered[1:] == ordered[:-1]
    bits = (values + np.float32(0.0)).view(np.int32)  # adding zero makes −0 equal to 0
    flips = (bits >> 31).view(np.uint32) | np.uint32(0x80000000)
    pairs = np.empty((len(values), 2), dtype=np.uint32)
    low, high = (0, 1) if sys.byteorder == "little" else (1, 0)
    pairs[:, high] = bits.view(np.uint32) ^ flips
    pairs[:, low] = np.arange(len(values), dtype=np.uint32)
    keys = pairs.reshape(-1).view(np.uint64)
    keys.sort()
    ordered = pairs[:, high]
    return pairs[:, low], ordered[1:] == ordered[:-1]


def rank_correlation_matrix(logits: np.ndarray) -> Matrix:
    """Return Spearman's rank correlation of two replicas' flattened logits, ties at their average rank.

    Args:
        logits: Float (R, N, C), −inf for masked classes.

    Returns:
        float64 (R, R); 1 where all ranks agree, NaN for a replica whose logits are all equal.

    Source: paper, section 3.1, "average correlation"; scipy.stats.spearmanr per pair.
    """
    flat = logits.reshape(len(logits), -1)
    centred = np.empty(flat.shape, dtype=average_ranks(flat[0]).dtype)

    def rank(replica: int) -> None:
        centred[replica] = average_ranks(flat[replica])

    each_in_parallel(rank, range(len(flat)))
    return correlate_rows(centred)


def correlation_matrix(logits: np.ndarray) -> Matrix:
    """Return Pearson's correlation of two replicas' flattened logits; see `rank_correlation_matrix`.

    Raises:
        UndefinedError: If a replica masks classes: it has no mean logit.
    """
    flat = logits.reshape(len(logits), -1)
    centred, means = np.empty(flat.shape), np.empty(len(flat))

    def centre(replica: int) -> None:
        means[replica] = flat[replica].mean(dtype=np.float64)
        if np.isfinite(means[replica]):
            centred[replica] = flat[replica] - means[replica]

    each_in_parallel(centre, range(len(flat)))
    masked = np.flatnonzero(~np.isfinite(means))
    if len(masked):
        which = ", ".join(str(replica + 1) for replica in masked)
        raise UndefinedError(f"undefined: logits of −inf in replica {which}")
    return correlate_rows(centred)


def correlate_rows(centred: np.ndarray) -> Matrix:
    """Return the correlations between rows of mean zero.

    Equal rows give exactly 1, and constant ones NaN.

    Args:
        centred: Float (R, M). Products of float32 are summed in float64, block by block.
    """
    products = np.zeros((len(centred), len(centred)))
    for start in range(0, centred.shape[1], PRODUCT_COLUMNS):
        part = np.ascontiguousarray(centred[:, start : start + PRODUCT_COLUMNS])
        products += part @ part.T
    squares = np.diagonal(products).copy()
    constant = squares <= 1e-300
    squares[constant] = 1.0
    products = np.clip(products / np.sqrt(np.outer(squares, squares)), -1.0, 1.0)
    products[_equal_rows(centred, products)] = 1.0
    products[constant, :] = np.nan
    products[:, constant] = np.nan
    return products


def _equal_rows(rows: np.ndarray, products: Matrix) -> np.ndarray:
    """Tell which rows hold the same numbers, bool (R, R); only those that correlate perfectly are compared."""
    group = np.arange(len(rows))
    for i in range(len(rows)):
        for j in np.flatnonzero(products[i, :i] > 1.0 - 1e-9):
            if group[j] == j and np.array_equal(rows[i], rows[j]):
                group[i] = j
                break
    return group[:, None] == group[None, :]


@IMAGE_FORMULAS.computes("disagreement")
def measure_disagreement(outputs: ImageOutputs) -> Matrix:
    """Return the disagreement of all pairs."""
    return disagreement_matrix(outputs.predictions, outputs.logits.shape[2])


@IMAGE_FORMULAS.computes("correlation")
def measure_rank_correlation(outputs: ImageOutputs) -> Matrix:
    """Return the rank correlation of all pairs."""
    return _refuse_constants(rank_correlation_matrix(outputs.logits))


@IMAGE_FORMULAS.computes("pearson")
def measure_correlation(outputs: ImageOutputs) -> Matrix:
    """Return the linear correlation of all pairs."""
    return _refuse_constants(correlation_matrix(outputs.logits))


def _refuse_constants(correlations: Matrix) -> Matrix:
    """Return the correlations where all of them exist.

    Raises:
        UndefinedError: If the logits of a replica are all equal.
    """
    constant = np.flatnonzero(~np.isfinite(np.diagonal(correlations)))
    if len(constant):
        which = ", ".join(str(replica + 1) for replica in constant)
        raise UndefinedError(f"undefined: all logits of replica {which} are equal")
    return correlations
