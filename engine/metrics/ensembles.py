"""Ensembles of two: accuracy and cross-entropy of the mean of two replicas' logits, for all pairs.

The logits are averaged, not the probabilities, as the published code does.

Shapes: R replicas, N examples, C classes.
"""

from __future__ import annotations

import math
from threading import Lock

import numpy as np

from engine.metrics.formulas import UndefinedError
from engine.metrics.logits import Logits, find_largest
from engine.metrics.outputs import IMAGE_FORMULAS, ImageOutputs, Predicted
from engine.metrics.pairs import ROWS_AT_ONCE, Matrix, find_groups, mirror
from engine.metrics.parallel import each_in_parallel

BLOCK_VALUES = 2**21
"""Numbers that one step of the pair loop touches: few enough for the processor's cache, and so many that threads do not
wait for each other between steps."""

KEPT_VALUES = 2**22
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


def ensemble_accuracies(logits: Logits, labels: np.ndarray, predicted: Predicted) -> Matrix:
    """Return the accuracy of the mean logits of two replicas.

    The mean is right where the label's sum is above the largest other sum; where they are equal, the lower
    class counts as predicted, as argmax has it. Sums are taken in float64, where those of float32 numbers are
    exact, so that replicas which agree beyond doubt need no arithmetic: their mean agrees with them.

    Args:
        logits: Of R replicas.
        labels: int64 (N,).
        predicted: What each replica predicts.

    Returns:
        Percent, float64 (R, R); the diagonal holds the replicas' own accuracies.

    Source: paper, section 3.1, equation 1.
    """
    replicas, examples, classes = logits.shape
    predictions = predicted.classes
    # One class has the largest logit in every replica, and no other has as large a one: their means agree with them.
    unanimous = (predictions == predictions[0]).all(axis=0) & ~predicted.tied
    doubtful = np.flatnonzero(~unanimous)
    # Few large blocks of equal size: each is split once more by the number of its candidates.
    blocks = max(1, -(-len(doubtful) * replicas * classes // DOUBTFUL_VALUES))
    size = max(1, -(-len(doubtful) // blocks))
    correct, lock = np.zeros((replicas, replicas)), Lock()

    def count(start: int) -> None:
        chosen = doubtful[start : start + size]
        part = np.empty((replicas, classes, len(chosen)))
        part[...] = logits.take_block(chosen).transpose(0, 2, 1)  # long rows are worked on faster than short ones
        _count_doubtful(_lower_masks(part), labels[chosen], correct, lock)

    each_in_parallel(count, range(0, len(doubtful), size))
    mirror(correct)
    correct += np.count_nonzero(unanimous & (predictions[0] == labels))
    np.fill_diagonal(correct, np.count_nonzero(predictions == labels, axis=1))
    correct *= 100.0
    correct /= examples
    return correct


def _lower_masks(part: np.ndarray) -> np.ndarray:
    """Replace −inf in a block, float64 (R, C, B), by a number that no mean with it can be the largest for."""
    if part.min(initial=0.0) == -np.inf:
        masked = part == -np.inf
        part[masked] = -1.0 - 4.0 * np.abs(part[~masked]).max(initial=0.0)
    return part


def _count_doubtful(part: np.ndarray, labels: np.ndarray, correct: Matrix, lock: Lock) -> None:
    """Add the right answers of every pair on a block of logits, float64 (R, C, B), to `correct` above its diagonal."""
    candidates = find_candidates(part)
    places = np.arange(len(labels))
    winnable = candidates[labels, places]  # elsewhere no pair is right
    numbers = candidates.sum(axis=0)
    with lock:
        correct += np.count_nonzero(winnable & (numbers == 1))
    for number in np.unique(numbers[winnable & (numbers > 1)]):
        chosen = np.flatnonzero(winnable & (numbers == number))
        classes = np.argsort(~candidates[:, chosen], axis=0, kind="stable")[:number]
        wanted = np.argmax(classes == labels[chosen], axis=0)
        _count_among(part[:, classes, chosen], wanted, correct, lock)


def find_candidates(part: np.ndarray) -> np.ndarray:
    """Find the classes that the mean of some two replicas may predict; usually two or three of all.

    A class can beat the one with the largest mean logit, k, only if its distance from k, added over the two replicas
    where it is largest, is not negative.

    Args:
        part: float64 (R, C, B).

    Returns:
        bool (C, B).
    """
    leading = part.mean(axis=0).argmax(axis=0)
    places = np.arange(len(leading))
    largest, second = (np.full(part.shape[1:], -np.inf) for _ in range(2))
    distance, smaller = (np.empty(part.shape[1:]) for _ in range(2))
    for replica in part:
        np.subtract(replica, replica[leading, places], out=distance)
        np.maximum(second, np.minimum(largest, distance, out=smaller), out=second)
        np.maximum(largest, distance, out=largest)
    # The tolerance is larger than what rounding can do to a distance.
    return largest + second >= -1e-9 * max(part.max(), -part.min())


def _count_among(among: np.ndarray, wanted: np.ndarray, correct: Matrix, lock: Lock) -> None:
    """Count the right answers among candidate classes (R, M, B) for every pair, and add them to `correct`.

    A pair is right where the true class has a larger sum of logits than each other candidate. Each such comparison is
    made between the distance of the two logits in one replica and the negated distance in the other.
    """
    replicas, candidates = len(among), int(among.shape[1])
    others = np.argsort(np.arange(candidates)[:, None] == wanted, axis=0, kind="stable")[:-1]
    rivals = np.take_along_axis(among, others[None], axis=1)
    true = np.take_along_axis(among, wanted[None, None], axis=1)
    distances = np.ascontiguousarray((true - rivals).transpose(1, 0, 2))
    bounds = -distances
    # Where sums are equal, the lower class counts as predicted: against a higher class, an equal sum is enough.
    behind = np.broadcast_to((others > wanted)[:, None], bounds.shape)
    np.nextafter(bounds, -np.inf, out=bounds, where=behind)
    for i in range(replicas - 1):
        right = distances[0, i] > bounds[0, i + 1 :]
        for distance, bound in zip(distances[1:], bounds[1:], strict=True):
            right &= distance[i] > bound[i + 1 :]
        counts = np.count_nonzero(right, axis=1)
        with lock:
            correct[i, i + 1 :] += counts


def ensemble_cross_entropies(logits: Logits, labels: np.ndarray) -> Matrix:
    """Return the cross-entropy of the mean logits of two replicas.

    exp of a mean is a product of exps, so the normalisers of all pairs are one small matrix product per example:
    no exp is taken per pair. Of many replicas, some at a time are paired with all later ones.

    Args:
        logits: Of R replicas.
        labels: int64 (N,).

    Returns:
        Nats, float64 (R, R); the diagonal holds the replicas' own cross-entropies.
    """
    replicas, examples, _ = logits.shape
    total = np.zeros((replicas, replicas))
    for top in range(0, replicas, ROWS_AT_ONCE):
        height = min(ROWS_AT_ONCE, replicas - top)
        _add_losses(logits, labels, top, total[top : top + height, top:])
    total /= examples
    return mirror(total)


def _add_losses(logits: Logits, labels: np.ndarray, top: int, total: Matrix) -> None:
    """Add the losses on all examples of pairs of the replicas from `top` on with those after them to `total`."""
    replicas, examples, classes = logits.shape
    size = max(1, BLOCK_VALUES // max(total.size, replicas * classes))
    starts = range(0, examples, size)
    at_once, height = max(LEAST_AT_ONCE, KEPT_VALUES // total.size), len(total)
    for first in range(0, len(starts), at_once):
        parts: dict[int, Matrix] = {}

        def add(start: int, parts: dict[int, Matrix] = parts) -> None:
            block = slice(start, start + size)
            part = logits.take_block(block)[top:].astype(np.float64)
            parts[start] = _sum_losses(part, labels[block], height)

        each_in_parallel(add, starts[first : first + at_once])
        for start in sorted(parts):  # in one order, whichever thread was first
            total += parts[start]


def _sum_losses(part: np.ndarray, labels: np.ndarray, height: int) -> Matrix:
    """Return the losses of pairs, added up over a block's examples, of the first replicas with all: (height, R)."""
    highest = find_largest(part)
    below = part - highest[:, :, None]
    gap = -below.min()
    if gap == np.inf:  # exp is 0 for masked classes, whichever precision is chosen for the others
        gap = -below[below > -np.inf].min()
    if gap > DOUBLE_GAP:
        return _sum_losses_plainly(part, labels, height)
    precision = np.float32 if gap < SINGLE_GAP else np.float64
    roots = np.exp(below / 2).astype(precision).transpose(1, 0, 2)
    # As a matrix of its own: numpy would fill half of a product with itself number by number.
    normalisers = roots[:, :height] @ np.ascontiguousarray(roots.transpose(0, 2, 1))
    own = (highest - part[:, np.arange(len(labels)), labels]).sum(axis=1)
    if precision is np.float32:
        # The sum of logs is the log of a product; each product has as many factors as float32 can hold.
        for _ in range(count_foldings(float(gap), part.shape[2])):
            half = len(normalisers) // 2
            normalisers[:half] *= normalisers[len(normalisers) - half :]
            normalisers = normalisers[: len(normalisers) - half]
    sums = np.log(normalisers, out=normalisers).sum(axis=0, dtype=np.float64)
    sums += own[:height, None] / 2
    sums += own[None, :] / 2
    return sums


def count_foldings(gap: float, classes: int) -> int:
    """Return how often normalisers can be multiplied in pairs within the range of float32.

    A normaliser lies between exp(−gap/2) and the number of classes.
    """
    factors = SINGLE_EXPONENT / max(gap / 2, math.log(classes), 1.0)
    return max(0, min(MAX_FOLDINGS, int(math.log2(max(factors, 1.0)))))


def _sum_losses_plainly(part: np.ndarray, labels: np.ndarray, height: int) -> Matrix:
    """Return what `_sum_losses` does, by the definition: for logits so far apart that their exps leave the range."""
    places = np.arange(len(labels))
    sums = np.empty((height, len(part)))
    for i in range(height):
        mean = (part[i] + part) / 2
        highest = mean.max(axis=2)
        normaliser = np.log(np.exp(mean - highest[:, :, None]).sum(axis=2))
        sums[i] = (normaliser + highest - mean[:, places, labels]).sum(axis=1)
    return sums


@IMAGE_FORMULAS.computes("ensemble_delta")
def measure_gains(outputs: ImageOutputs) -> Matrix:
    """Return the accuracy of each pair's mean logits minus the mean of its members' own, percentage points (R, R)."""
    joint = ensemble_accuracies(outputs.logits, outputs.labels, outputs.predicted)
    return _subtract_members(joint, outputs.accuracies)


@IMAGE_FORMULAS.computes("ensemble_cross_entropy_delta")
def measure_loss_changes(outputs: ImageOutputs) -> Matrix:
    """Return the cross-entropy of each pair's mean logits minus the mean of its members' own, nats (R, R)."""
    own, logits = refuse_infinite(outputs.cross_entropies), outputs.logits
    changes = _subtract_members(ensemble_cross_entropies(logits, outputs.labels), own)
    # The mean of equal replicas is the replica itself, so any other difference than 0 would be rounding.
    group = find_groups(len(own), lambda i: np.flatnonzero(own[:i] == own[i]), logits.are_equal)
    for row, first in zip(changes, group, strict=True):
        row[group == first] = 0.0
    return changes


def _subtract_members(joint: Matrix, own: np.ndarray) -> Matrix:
    """Subtract from the figure of each pair the mean of its two members' own, in place."""
    for number, figure in enumerate(own):
        joint[number] -= (figure + own) / 2
    return joint


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
