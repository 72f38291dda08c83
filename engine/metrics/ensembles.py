"""Ensembles of two: accuracy and cross-entropy of the mean of two replicas' logits, for all pairs.

The logits are averaged, not the probabilities, as the published code does.

Shapes: R replicas, N examples, C classes.
"""

from __future__ import annotations

import math

import numpy as np

from engine.metrics.formulas import UndefinedError
from engine.metrics.outputs import IMAGE_FORMULAS, ImageOutputs
from engine.metrics.parallel import each_in_parallel

Matrix = np.ndarray

BLOCK_VALUES = 2**19
"""Numbers that one step of the pair loop touches: they have to fit the processor's cache."""

KEPT_VALUES = 2**23
"""Numbers that the sums of blocks of examples hold until they are added up."""

LEAST_AT_ONCE = 2
"""Blocks that are summed at once, however many replicas there are."""

DOUBTFUL_VALUES = 2**21
"""The same for the examples on which replicas do not all agree."""

SINGLE_GAP = 120.0
"""Largest distance between logits of an example for which float32 holds exp(gap/2) of two replicas."""

SINGLE_EXPONENT = 80.0
"""exp of this and of its negative are normal float32 numbers."""

MAX_FOLDINGS = 3
"""More than eight factors save next to nothing, and each adds its rounding."""

DOUBLE_GAP = 1200.0
"""The same for float64."""


def ensemble_accuracies(logits: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> Matrix:
    """Return the accuracy of the mean logits of two replicas.

    The mean is right where the label's sum is above the largest other sum; where they are equal, the lower
    class counts as predicted, as argmax has it. Sums are taken in float64, where those of float32 numbers are
    exact, so that replicas which agree beyond doubt need no arithmetic: their mean agrees with them.

    Args:
        logits: Float (R, N, C), −inf for masked classes.
        labels: int64 (N,).
        predictions: Predicted class of each replica, int (R, N).

    Returns:
        Percent, float64 (R, R); the diagonal holds the replicas' own accuracies.

    Source: paper, section 3.1, equation 1.
    """
    replicas, examples, _ = logits.shape
    unanimous, right = find_unanimous(logits, labels, predictions)
    doubtful = np.flatnonzero(~unanimous)
    # Few large blocks: each is split once more by the number of its candidates.
    size = max(1, DOUBTFUL_VALUES // (replicas * logits.shape[2]))
    starts = range(0, len(doubtful), size)
    counts = np.zeros((len(starts), replicas, replicas), dtype=np.int64)

    def count(number: int) -> None:
        chosen = doubtful[number * size : (number + 1) * size]
        _count_doubtful(_lower_masks(logits[:, chosen].astype(np.float64)), labels[chosen], counts[number])

    each_in_parallel(count, range(len(starts)))
    correct = counts.sum(axis=0)
    correct = np.triu(correct, 1) + np.triu(correct, 1).T + np.count_nonzero(unanimous & right)
    np.fill_diagonal(correct, np.count_nonzero(predictions == labels, axis=1))
    return 100.0 * correct / examples


def _lower_masks(part: np.ndarray) -> np.ndarray:
    """Replace −inf in a block, float64 (R, B, C), by a number that no mean with it can be the largest for."""
    if part.min(initial=0.0) == -np.inf:
        masked = part == -np.inf
        part[masked] = -1.0 - 4.0 * np.abs(part[~masked]).max(initial=0.0)
    return part


def find_unanimous(logits: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the examples whose largest logit is the same class's in every replica, with no other as large.

    Args:
        logits: Float (R, N, C), −inf for masked classes.
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


def _count_doubtful(part: np.ndarray, labels: np.ndarray, correct: np.ndarray) -> None:
    """Add the right answers of every pair on a block of logits, float64 (R, B, C), to `correct` above its diagonal."""
    candidates = find_candidates(part)
    places = np.arange(len(labels))
    winnable = candidates[places, labels]  # elsewhere no pair is right
    numbers = candidates.sum(axis=1)
    correct += np.count_nonzero(winnable & (numbers == 1))
    for number in np.unique(numbers[winnable & (numbers > 1)]):
        chosen = np.flatnonzero(winnable & (numbers == number))
        classes = np.argsort(~candidates[chosen], axis=1, kind="stable")[:, :number]
        among = np.take_along_axis(part[:, chosen], classes[None], axis=2)
        wanted = np.argmax(classes == labels[chosen, None], axis=1)
        _count_among(among, wanted, correct)


def find_candidates(part: np.ndarray) -> np.ndarray:
    """Find the classes that the mean of some two replicas may predict; usually two or three of all.

    A class can beat the one with the largest mean logit, k, only if its distance from k, added over the two replicas
    where it is largest, is not negative.

    Args:
        part: float64 (R, B, C).

    Returns:
        bool (B, C).
    """
    leading = part.mean(axis=0).argmax(axis=1)
    distances = part - np.take_along_axis(part, leading[None, :, None], axis=2)
    two_largest = np.partition(distances, len(part) - 2, axis=0)[-2:].sum(axis=0)
    # The tolerance is larger than what rounding can do to a distance.
    return two_largest >= -1e-9 * np.abs(part).max()


def _count_among(among: np.ndarray, wanted: np.ndarray, correct: np.ndarray) -> None:
    """Count the right answers among candidate classes (R, B, M) for every pair, and add them to `correct`.

    A pair is right where the true class has a larger sum of logits than each other candidate. Each such comparison is
    made between the distance of the two logits in one replica and the negated distance in the other.
    """
    replicas, places = len(among), np.arange(len(wanted))
    candidates: int = among.shape[2]
    others = np.argsort(np.arange(candidates) == wanted[:, None], axis=1, kind="stable")[:, :-1]
    rivals = np.take_along_axis(among, others[None], axis=2)
    distances = np.ascontiguousarray((among[:, places, wanted][:, :, None] - rivals).transpose(2, 0, 1))
    bounds = -distances
    # Where sums are equal, the lower class counts as predicted: against a higher class, an equal sum is enough.
    behind = np.broadcast_to((others > wanted[:, None]).T[:, None, :], bounds.shape)
    np.nextafter(bounds, -np.inf, out=bounds, where=behind)
    for i in range(replicas - 1):
        right = distances[0, i] > bounds[0, i + 1 :]
        for distance, bound in zip(distances[1:], bounds[1:], strict=True):
            right &= distance[i] > bound[i + 1 :]
        correct[i, i + 1 :] += np.count_nonzero(right, axis=1)


def ensemble_cross_entropies(logits: np.ndarray, labels: np.ndarray) -> Matrix:
    """Return the cross-entropy of the mean logits of two replicas.

    exp of a mean is a product of exps, so the normalisers of all pairs are one small matrix product per example:
    no exp is taken per pair.

    Args:
        logits: Float (R, N, C), −inf for masked classes.
        labels: int64 (N,).

    Returns:
        Nats, float64 (R, R); the diagonal holds the replicas' own cross-entropies.
    """
    replicas, examples, _ = logits.shape
    size = max(1, BLOCK_VALUES // (replicas * replicas))
    starts = range(0, examples, size)
    total = np.zeros((replicas, replicas))
    at_once = max(LEAST_AT_ONCE, KEPT_VALUES // (replicas * replicas))
    for first in range(0, len(starts), at_once):
        parts: dict[int, Matrix] = {}

        def add(start: int, parts: dict[int, Matrix] = parts) -> None:
            block = slice(start, start + size)
            parts[start] = _sum_losses(logits[:, block].astype(np.float64), labels[block])

        each_in_parallel(add, starts[first : first + at_once])
        for start in sorted(parts):  # in one order, whichever thread was first
            total += parts[start]
    return total / examples


def _sum_losses(part: np.ndarray, labels: np.ndarray) -> Matrix:
    """Return a block's losses, added up over its examples; float64 (R, R)."""
    highest = part.max(axis=2)
    below = part - highest[:, :, None]
    gap = -below.min()
    if gap == np.inf:  # exp is 0 for masked classes, whichever precision is chosen for the others
        gap = -below[below > -np.inf].min()
    if gap > DOUBLE_GAP:
        return _sum_losses_plainly(part, labels)
    precision = np.float32 if gap < SINGLE_GAP else np.float64
    roots = np.exp(below / 2).astype(precision).transpose(1, 0, 2)
    normalisers = roots @ roots.transpose(0, 2, 1)
    own = (highest - part[:, np.arange(len(labels)), labels]).sum(axis=1)
    if precision is np.float32:
        # The sum of logs is the log of a product; each product has as many factors as float32 can hold.
        for _ in range(count_foldings(float(gap), part.shape[2])):
            half = len(normalisers) // 2
            normalisers[:half] *= normalisers[len(normalisers) - half :]
            normalisers = normalisers[: len(normalisers) - half]
    return np.log(normalisers, out=normalisers).sum(axis=0, dtype=np.float64) + (own[:, None] + own[None, :]) / 2


def count_foldings(gap: float, classes: int) -> int:
    """Return how often normalisers can be multiplied in pairs within the range of float32.

    A normaliser lies between exp(−gap/2) and the number of classes.
    """
    factors = SINGLE_EXPONENT / max(gap / 2, math.log(classes), 1.0)
    return max(0, min(MAX_FOLDINGS, int(math.log2(max(factors, 1.0)))))


def _sum_losses_plainly(part: np.ndarray, labels: np.ndarray) -> Matrix:
    """Return what `_sum_losses` does, by the definition: for logits so far apart that their exps leave the range."""
    places = np.arange(len(labels))
    sums = np.empty((len(part), len(part)))
    for i in range(len(part)):
        mean = (part[i] + part) / 2
        highest = mean.max(axis=2)
        normaliser = np.log(np.exp(mean - highest[:, :, None]).sum(axis=2))
        sums[i] = (normaliser + highest - mean[:, places, labels]).sum(axis=1)
    return sums


@IMAGE_FORMULAS.computes("ensemble_delta")
def measure_gains(outputs: ImageOutputs) -> Matrix:
    """Return the accuracy of each pair's mean logits minus the mean of its members' own, percentage points (R, R)."""
    joint = ensemble_accuracies(outputs.logits, outputs.labels, outputs.predictions)
    return joint - (outputs.accuracies[:, None] + outputs.accuracies[None, :]) / 2


@IMAGE_FORMULAS.computes("ensemble_cross_entropy_delta")
def measure_loss_changes(outputs: ImageOutputs) -> Matrix:
    """Return the cross-entropy of each pair's mean logits minus the mean of its members' own, nats (R, R)."""
    own = refuse_infinite(outputs.cross_entropies)
    joint = ensemble_cross_entropies(outputs.logits, outputs.labels)
    # The mean of equal replicas is the replica itself, so any other difference than 0 would be rounding.
    return np.where(_find_equal(outputs.logits, own), 0.0, joint - (own[:, None] + own[None, :]) / 2)


def refuse_infinite(cross_entropies: np.ndarray) -> np.ndarray:
    """Return cross-entropies (R,) that are all finite.

    Raises:
        UndefinedError: If the true class of an example is masked in some replica.
    """
    infinite = np.flatnonzero(~np.isfinite(cross_entropies))
    if len(infinite):
        which = ", ".join(str(replica + 1) for replica in infinite)
        raise UndefinedError(f"infinite: replica {which} masks the true class of an example with a logit of −inf")
    return cross_entropies


def _find_equal(logits: np.ndarray, cross_entropies: np.ndarray) -> np.ndarray:
    """Tell which replicas have the same logits, bool (R, R); equal logits have equal cross-entropies."""
    group = np.arange(len(logits))
    for i in range(len(logits)):
        for j in np.flatnonzero(cross_entropies[:i] == cross_entropies[i]):
            if group[j] == j and np.array_equal(logits[i], logits[j]):
                group[i] = j
                break
    return group[:, None] == group[None, :]
