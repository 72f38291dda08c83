"""Ensembles of two: accuracy and cross-entropy of the mean of two replicas' logits, for all pairs.

The logits are averaged, not the probabilities, as the published code does.

Shapes: R replicas, N examples, C classes.
"""

from __future__ import annotations

import numpy as np

from .parallel import each_in_parallel

Matrix = np.ndarray

BLOCK_VALUES = 2**19
"""Numbers that one step of the pair loop touches: they have to fit the processor's cache."""

SINGLE_GAP = 120.0
"""Largest distance between logits of an example for which float32 holds exp(gap/2) of two replicas."""

TIE_TOLERANCE = 1e-6
"""Relative distance of two float32 sums below which rounding may have changed their order."""

DOUBLE_GAP = 1200.0
"""The same for float64."""


def ensemble_accuracies(logits: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> Matrix:
    """Accuracy of the mean logits of two replicas.

    The mean is right where the label's sum is above the largest other sum; where they are equal, the lower
    class counts as predicted, as argmax has it. Sums are taken in float64, where those of float32 numbers are
    exact, so that replicas which agree beyond doubt need no arithmetic: their mean agrees with them.

    Args:
        logits: Finite float (R, N, C).
        labels: int64 (N,).
        predictions: Predicted class of each replica, int (R, N).

    Returns:
        Percent, float64 (R, R); the diagonal holds the replicas' own accuracies.

    Source: paper, section 3.1, equation 1.
    """
    replicas, examples, classes = logits.shape
    unanimous, right = find_unanimous(logits, labels, predictions)
    doubtful = np.flatnonzero(~unanimous)
    size = max(1, BLOCK_VALUES // (replicas * classes))
    starts = range(0, len(doubtful), size)
    counts = np.zeros((len(starts), replicas, replicas), dtype=np.int64)

    def count(number: int) -> None:
        chosen = doubtful[number * size : (number + 1) * size]
        part = np.ascontiguousarray(logits[:, chosen].transpose(0, 2, 1))
        _count_correct(part, labels[chosen], counts[number])

    each_in_parallel(count, range(len(starts)))
    correct = counts.sum(axis=0) + np.count_nonzero(unanimous & right)
    return 100.0 * np.maximum(correct, correct.T) / examples


def find_unanimous(logits: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The examples whose largest logit is the same class's in every replica, with no other as large.

    Args:
        logits: Finite float (R, N, C).
        labels: int64 (N,).
        predictions: Predicted class, int (R, N).

    Returns:
        bool (N,): unanimous; bool (N,): whether the first replica is right.
    """
    classes = logits.shape[2]
    largest = logits.reshape(-1, classes)[np.arange(predictions.size), predictions.reshape(-1)]
    maxima = logits == largest.reshape(*predictions.shape, 1)
    unanimous = (predictions == predictions[0]).all(axis=0)
    if np.count_nonzero(maxima) > predictions.size:  # somewhere two classes share the largest logit
        unanimous &= (maxima.sum(axis=2) == 1).all(axis=0)
    return unanimous, predictions[0] == labels


def _count_correct(part: np.ndarray, labels: np.ndarray, correct: np.ndarray) -> None:
    """Add a block's right answers, (R, C, B) logits, to the upper triangle of the counts."""
    places = np.arange(len(labels))
    wanted = part[:, labels, places]
    others = part.copy()
    others[:, labels, places] = -np.inf
    sums = np.empty_like(others)
    for i in range(len(part)):
        best_other = np.add(others[i], others[i:], out=sums[i:]).max(axis=1)
        label_sum = wanted[i] + wanted[i:]
        correct[i, i:] += np.count_nonzero(label_sum > best_other, axis=1)
        # Rounding may have made sums equal, or unequal ones of nearly equal sums: those are taken exactly.
        close = np.abs(label_sum - best_other) <= np.abs(label_sum) * TIE_TOLERANCE
        for row, place in np.argwhere(close):
            both = part[i, :, place].astype(np.float64) + part[i + row, :, place]
            exactly_right = both.argmax() == labels[place]
            correct[i, i + row] += int(exactly_right) - int(label_sum[row, place] > best_other[row, place])


def ensemble_cross_entropies(logits: np.ndarray, labels: np.ndarray) -> Matrix:
    """Cross-entropy of the mean logits of two replicas.

    exp of a mean is a product of exps, so the normalisers of all pairs are one small matrix product per example:
    no exp is taken per pair.

    Args:
        logits: Finite float (R, N, C).
        labels: int64 (N,).

    Returns:
        Nats, float64 (R, R); the diagonal holds the replicas' own cross-entropies.
    """
    replicas, examples, _ = logits.shape
    size = max(1, BLOCK_VALUES // (replicas * replicas))
    starts = range(0, examples, size)
    totals = np.zeros((len(starts), replicas, replicas))

    def add(number: int) -> None:
        block = slice(number * size, (number + 1) * size)
        totals[number] = _sum_losses(logits[:, block].astype(np.float64), labels[block])

    each_in_parallel(add, range(len(starts)))
    return totals.sum(axis=0) / examples


def _sum_losses(part: np.ndarray, labels: np.ndarray) -> Matrix:
    """A block's losses, added up over its examples; float64 (R, R)."""
    highest = part.max(axis=2)
    below = part - highest[:, :, None]
    gap = -below.min()
    if gap > DOUBLE_GAP:
        return _sum_losses_plainly(part, labels)
    kind = np.float32 if gap < SINGLE_GAP else np.float64
    roots = np.exp(below / 2).astype(kind).transpose(1, 0, 2)
    normalisers = roots @ roots.transpose(0, 2, 1)
    own = (highest - part[:, np.arange(len(labels)), labels]).sum(axis=1)
    return np.log(normalisers, out=normalisers).sum(axis=0, dtype=np.float64) + (own[:, None] + own[None, :]) / 2


def _sum_losses_plainly(part: np.ndarray, labels: np.ndarray) -> Matrix:
    """The same by the definition, for logits so far apart that their exps cannot be multiplied."""
    places = np.arange(len(labels))
    sums = np.empty((len(part), len(part)))
    for i in range(len(part)):
        mean = (part[i] + part) / 2
        highest = mean.max(axis=2)
        normaliser = np.log(np.exp(mean - highest[:, :, None]).sum(axis=2))
        sums[i] = (normaliser + highest - mean[:, places, labels]).sum(axis=1)
    return sums
