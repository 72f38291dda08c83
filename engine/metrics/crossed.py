"""Main effects and interaction of two sources, from a grid of runs with every pair of their seeds.

y_ab = μ + α_a + β_b + (αβ)_ab. Equal seeds give equal bits, so there is no error of repetition: what the main effects
leave *is* interaction. A row of the paper's tables, one source varied at one value of the others, estimates
σ²_A + σ²_AB together; only a grid tells them apart.

Source: analysis of variance with random effects, Henderson's estimators for a balanced design (Searle, Casella &
McCulloch, "Variance Components", 1992, chapter 4); shares as in Sobol's first-order and total indices.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from engine.metrics.replicas import Replica, stack_predictions

CONFIDENCE = 0.95
GRAM_COLUMNS = 2**16
COMPONENTS = ("first", "second", "interaction")


def decompose(values: np.ndarray) -> np.ndarray:
    """Variance components of figures on a grid.

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
    """Components, and their 95 % intervals (3, 2) from leaving out each row and each column in turn.

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
        variance += (levels - 1) / levels * np.sum((without - without.mean(axis=0)) ** 2, axis=0)
    half = float(special.stdtrit(min(values.shape[:2]) - 1, (1 + CONFIDENCE) / 2)) * np.sqrt(variance)
    return found, np.stack([found - half, found + half], axis=1)


def measure_grid(arm: dict[str, Any], replicas: dict[str, Replica | None]) -> dict[str, Any] | None:
    """The decomposition of a crossed arm; None for other arms.

    Returns:
        {"sources", "levels", "<figure>": {"first": {"variance", "ci", "share"}, …}} for the figures accuracy
        (percent²), cross_entropy (nats²) and logits (mean over examples and classes, each example's logits centred);
        or {"reason"} while a run is missing.
    """
    if not arm.get("crossed"):
        return None
    sources, levels = zip(*arm["crossed"], strict=True)
    found = [replicas[run] for run in arm["runs"]]
    head = {"sources": list(sources), "levels": list(levels)}
    usable = [r for r in found if r is not None and r.predictions is not None and not r.diverged]
    if len(usable) < len(found):
        return head | {"reason": f"{len(found) - len(usable)} of {len(found)} runs of the grid are missing"}
    results = [replica.result for replica in usable if replica.result is not None]
    figures = {
        "accuracy": np.array([result.test_accuracy for result in results]),
        "cross_entropy": np.array([result.test_cross_entropy for result in results]),
    }
    predictions = stack_predictions([replica.predictions for replica in usable if replica.predictions is not None])
    if predictions.dtype.names is None:
        figures["logits"] = (predictions - predictions.mean(axis=2, keepdims=True)).reshape(len(usable), -1)
    else:
        figures["log_probability"] = predictions["log_probability"]
    parts = {name: values if values.ndim == 1 else reduce_figures(values) for name, values in figures.items()}
    return head | {name: _describe(values.reshape(*levels, *values.shape[1:])) for name, values in parts.items()}


def reduce_figures(values: np.ndarray) -> np.ndarray:
    """As many figures per run as there are runs, with the same components as many more have.

    Components are quadratic in the runs' figures, so their Gram matrix holds all there is to know.

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


def _describe(values: np.ndarray) -> dict[str, Any]:
    variances, intervals = decompose_with_intervals(values)
    whole = float(np.maximum(variances, 0.0).sum())
    return {
        name: {
            "variance": float(variances[number]),
            "ci": None if intervals is None else intervals[number].tolist(),
            "share": max(0.0, float(variances[number])) / whole if whole > 0 else None,
        }
        for number, name in enumerate(COMPONENTS)
    }
