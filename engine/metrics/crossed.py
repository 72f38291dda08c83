"""Main effects and interaction of two sources, from a grid of runs with every pair of their seeds.

y_ab = μ + α_a + β_b + (αβ)_ab. Equal seeds give equal bits, so there is no error of repetition: what the main effects
leave *is* interaction. A row of the paper's tables, one source varied at one value of the others, estimates
σ²_A + σ²_AB together; only a grid tells them apart.

Source: analysis of variance with random effects, Henderson's estimators for a balanced design (Searle, Casella &
McCulloch, "Variance Components", 1992, chapter 4); shares as in Sobol's first-order and total indices.
"""

from __future__ import annotations

import math

import numpy as np

from engine.metrics.intervals import half_width, jackknife_variance
from engine.metrics.replicas import Replica, stack_predictions
from engine.plan.records import PlannedArm
from engine.study.metrics_record import Component, Components, Grid

GRAM_COLUMNS = 2**16


def decompose(values: np.ndarray) -> np.ndarray:
    """Return the variance components of figures on a grid.

    Args:
        values: float (A, B, …): rows are the first source's seeds, columns the second's; further axes are figures
            whose components are averaged.

    Returns:
        float64 (3,): σ² of the first source, of the second, and of their interaction. The first two are unbiased
        and may be negative.
    """
    values = values.astype(np.float64)
    rows, columns = values.shape[:2]
    whole = values.mean(axis=(0, 1), keepdims=True)
    first = values.mean(axis=1, keepdims=True) - whole
    second = values.mean(axis=0, keepdims=True) - whole
    rest = values - whole - first - second

    def mean_square(part: np.ndarray, freedom: int) -> float:
        figures = max(1, math.prod(values.shape[2:]))
        return float(np.square(part).sum()) / figures / freedom

    interaction = mean_square(rest, (rows - 1) * (columns - 1))
    of_first = columns * mean_square(first, rows - 1)
    of_second = rows * mean_square(second, columns - 1)
    return np.array([(of_first - interaction) / columns, (of_second - interaction) / rows, interaction])


def decompose_with_intervals(values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return components, and their 95 % intervals (3, 2) from leaving out each row and each column in turn.

    The variances of the two jackknifes are added, which errs on the wide side: rows and columns share the runs.

    Returns:
        None for the intervals where a factor has fewer than three seeds.
    """
    found = decompose(values)
    if min(values.shape[:2]) < 3:
        return found, None
    variance = np.zeros(3)
    for axis in (0, 1):
        levels = values.shape[axis]
        without = np.array([decompose(np.delete(values, level, axis=axis)) for level in range(levels)])
        variance += jackknife_variance(without)
    half = half_width(variance, min(values.shape[:2]) - 1)
    return found, np.stack([found - half, found + half], axis=1)


def measure_grid(arm: PlannedArm, replicas: dict[str, Replica | None]) -> Grid | None:
    """Decompose the figures of a crossed arm; None for other arms, a reason in the grid while a run is missing."""
    if not arm.crossed:
        return None
    (first, second), (rows, columns) = zip(*arm.crossed, strict=True)
    found = [replicas[run] for run in arm.runs]
    usable = [r for r in found if r is not None and r.predictions is not None and not r.diverged]
    if len(usable) < len(found):
        reason = f"{len(found) - len(usable)} of {len(found)} runs of the grid are missing"
        return Grid(sources=(first, second), levels=(rows, columns), reason=reason)
    results = [replica.result for replica in usable if replica.result is not None]
    accuracies = np.array([result.test_accuracy for result in results])
    cross_entropies = np.array([result.test_cross_entropy for result in results])
    predictions = stack_predictions([replica.predictions for replica in usable if replica.predictions is not None])
    logits = log_probability = None
    if predictions.dtype.names is None:
        logits = (predictions - predictions.mean(axis=2, keepdims=True)).reshape(len(usable), -1)
    else:
        log_probability = predictions["log_probability"]

    def describe(values: np.ndarray | None) -> Components | None:
        if values is None:
            return None
        figures = values if values.ndim == 1 else reduce_figures(values)
        return describe_components(figures.reshape(rows, columns, *figures.shape[1:]))

    return Grid(
        sources=(first, second),
        levels=(rows, columns),
        accuracy=describe(accuracies),
        cross_entropy=describe(cross_entropies),
        logits=describe(logits),
        log_probability=describe(log_probability),
    )


def reduce_figures(values: np.ndarray) -> np.ndarray:
    """Replace the M figures of each run by R figures whose variance components are the same on average.

    Components are quadratic in the runs' figures, so they can be computed from the Gram matrix of the runs alone.

    Args:
        values: float (R, M).

    Returns:
        float64 (R, R).
    """
    gram = np.zeros((len(values), len(values)))
    for start in range(0, values.shape[1], GRAM_COLUMNS):
        part = values[:, start : start + GRAM_COLUMNS].astype(np.float64)
        gram += part @ part.T
    size, directions = np.linalg.eigh(gram / values.shape[1])
    return directions * np.sqrt(np.maximum(size, 0.0) * len(values))


def describe_components(values: np.ndarray) -> Components:
    """Return the components of figures on a grid (A, B, …), with their intervals and shares."""
    variances, intervals = decompose_with_intervals(values)
    whole = float(np.maximum(variances, 0.0).sum())

    def describe(number: int) -> Component:
        variance = float(variances[number])
        ends = None if intervals is None else (float(intervals[number, 0]), float(intervals[number, 1]))
        return Component(variance=variance, ci=ends, share=max(0.0, variance) / whole if whole > 0 else None)

    return Components(first=describe(0), second=describe(1), interaction=describe(2))
