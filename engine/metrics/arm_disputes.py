"""Tells whether replicas of two arms disagree with each other more often than with those of their own."""

from __future__ import annotations

import numpy as np

from engine.metrics.contrasts import add_variances
from engine.metrics.intervals import jackknife_variance
from engine.metrics.pairs import Matrix, disagreement_matrix
from engine.metrics.spread import FEWEST, Ends, half_width
from engine.study.comparison_record import Disputes


def measure_disputes(one: np.ndarray, other: np.ndarray, classes: int, *, paired: bool) -> Disputes | None:
    """Tell whether replicas of two arms disagree more often than replicas of one.

    Pairs of the same seeds are left out, since no two replicas of one arm have the same ones.

    Args:
        one: Predicted classes (R, N).
        other: Likewise, of the same examples.
        classes: How many there are.
        paired: Whether replica r of both has the same seeds.

    Returns:
        None where an arm has one replica.
    """
    sizes = len(one), len(other)
    if min(sizes) < 2:
        return None
    matrix = disagreement_matrix(np.concatenate([one, other]), classes)
    between, within = _average_blocks(matrix, sizes[0], paired=paired)
    excess = between - sum(within) / 2
    ends = _excess_interval(matrix, sizes, excess, paired=paired) if min(sizes) >= FEWEST else None
    interval = None if ends is None else (float(ends[0]), float(ends[1]))
    return Disputes(between=between, within=within, excess=excess, excess_ci=interval)


def _average_blocks(matrix: Matrix, first: int, *, paired: bool) -> tuple[float, tuple[float, float]]:
    """Return the mean of the pairs between the first so many and the others, and of the pairs within each."""
    blocks = matrix[:first, :first], matrix[first:, first:]
    within = [float(block.sum() - np.trace(block)) / (len(block) * (len(block) - 1)) for block in blocks]
    across = matrix[:first, first:]
    if paired:
        return float(across.sum() - np.trace(across)) / (first * (first - 1)), (within[0], within[1])
    return float(across.mean()), (within[0], within[1])


def _excess_interval(matrix: Matrix, sizes: tuple[int, int], excess: float, *, paired: bool) -> Ends:
    """Return the 95 % interval of the excess, from leaving out each replica, or each pair of equal seeds, in turn."""

    def without(left_out: list[int], first: int) -> float:
        kept = np.delete(np.delete(matrix, left_out, axis=0), left_out, axis=1)
        between, within = _average_blocks(kept, first, paired=paired)
        return between - sum(within) / 2

    first, second = sizes
    if paired:
        parts = [[without([i, first + i], first - 1) for i in range(first)]]
    else:
        parts = [
            [without([i], first - 1) for i in range(first)],
            [without([first + i], first) for i in range(second)],
        ]
    variances = np.array([float(jackknife_variance(np.array(part))) for part in parts])
    variance = add_variances(variances, np.array([len(part) - 1.0 for part in parts]))
    half = half_width(np.asarray(variance.value), variance.freedom)
    return np.asarray(excess - half), np.asarray(excess + half)
