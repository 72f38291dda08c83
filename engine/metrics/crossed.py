"""Main effects and interaction of two sources, from a grid of runs with every pair of their seeds.

y_ab = μ + α_a + β_b + (αβ)_ab. Equal seeds give equal bits, so there is no error of repetition: what the main effects
leave *is* interaction, of the accuracy on this test set. A row of the paper's tables, one source varied at one value of
the others, estimates σ²_A + σ²_AB together; only a grid tells them apart.

Which examples of a finite test set a network happens to get right is interaction, too, even where the quality of the
networks has none. The true accuracy is free of it: its components are those of the mean covariance of two different
examples, as the true SD is in a plain arm.

Source: analysis of variance with random effects, Henderson's estimators for a balanced design (Searle, Casella &
McCulloch, "Variance Components", 1992, chapter 4); shares as in Sobol's first-order and total indices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from engine.metrics.logits import Logits
from engine.metrics.outputs import predict
from engine.metrics.replicas import Labels, Replica, open_logits, stack_predictions
from engine.metrics.spread import FEWEST, count_freedom, variance_ends
from engine.plan.records import PlannedArm
from engine.study.metrics_record import Component, Components, Grid

EXAMPLES_AT_ONCE = 2**14


@dataclass(frozen=True)
class MeanSquare:
    """One line of the two-way table."""

    value: float
    """The mean over figures."""
    freedom: float
    """Degrees of freedom of the value, for its interval."""


@dataclass(frozen=True)
class TwoWayTable:
    """The mean squares of figures on a grid."""

    levels: tuple[int, int]
    first: MeanSquare
    second: MeanSquare
    interaction: MeanSquare


def make_table(values: np.ndarray) -> TwoWayTable:
    """Return the mean squares of figures on a grid.

    Args:
        values: float (A, B, …): rows are the first source's seeds, columns the second's; further axes are figures
            whose mean squares are averaged.
    """
    rows, columns = values.shape[:2]
    values = values.reshape(rows, columns, -1).astype(np.float64)
    whole = values.mean(axis=(0, 1), keepdims=True)
    first = values.mean(axis=1, keepdims=True) - whole
    second = values.mean(axis=0, keepdims=True) - whole
    rest = values - whole - first - second
    return TwoWayTable(
        (rows, columns),
        _square(first[:, 0] * math.sqrt(columns), rows - 1),
        _square(second[0] * math.sqrt(rows), columns - 1),
        _square(rest.reshape(rows * columns, -1), (rows - 1) * (columns - 1)),
    )


def _square(effects: np.ndarray, freedom: int) -> MeanSquare:
    """Return the mean square of effects (levels, figures), with the degrees of freedom that its interval needs.

    One figure has those of its kurtosis. Many figures have tr(S)²/tr(S²) times as many as one, S their covariance as
    it was seen: the number of independent figures that would scatter as much. Few levels show fewer than there are,
    which errs on the wide side.
    """
    value = float(np.square(effects).sum()) / max(1, effects.shape[1]) / freedom
    if effects.shape[1] == 1:
        return MeanSquare(value, float(count_freedom(effects[:, 0], freedom)))
    gram = effects @ effects.T
    whole, squares = float(np.trace(gram)) ** 2, float(np.square(gram).sum())
    return MeanSquare(value, freedom * whole / squares if squares > 0 else freedom)


def decompose(values: np.ndarray) -> np.ndarray:
    """Return the variance components of figures on a grid; see `make_table`.

    Returns:
        float64 (3,): σ² of the first source, of the second, and of their interaction. The first two are unbiased
        and may be negative.
    """
    return _find_components(make_table(values))


def _find_components(table: TwoWayTable) -> np.ndarray:
    rows, columns = table.levels
    rest = table.interaction.value
    return np.array([(table.first.value - rest) / columns, (table.second.value - rest) / rows, rest])


def decompose_with_intervals(values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return components, and their 95 % intervals (3, 2).

    The interaction is a mean square, with the interval of a variance. A main effect is a difference of two mean
    squares: the distances to the ends of their intervals are added in quadrature, each where it matters.

    Returns:
        None for the intervals where a factor has fewer than three seeds.

    Source: variance estimates recovery, Zou & Donner (2008).
    """
    table = make_table(values)
    found = _find_components(table)
    rows, columns = table.levels
    if min(rows, columns) < FEWEST:
        return found, None
    rest = _reach(table.interaction)

    def subtract(square: MeanSquare, others: int) -> tuple[float, float]:
        reach, difference = _reach(square), square.value - table.interaction.value
        below, above = math.hypot(reach[0], rest[1]), math.hypot(reach[1], rest[0])
        return (difference - below) / others, (difference + above) / others

    own = (found[2] - rest[0], found[2] + rest[1])
    return found, np.array([subtract(table.first, columns), subtract(table.second, rows), own])


def _reach(square: MeanSquare) -> tuple[float, float]:
    """Return the distances of a mean square from the lower and the upper end of its interval."""
    low, high = variance_ends(np.array(square.value), square.freedom)
    return square.value - float(low), float(high) - square.value


def measure_grid(arm: PlannedArm, replicas: Mapping[str, Replica | None], labels: Labels | str) -> Grid | None:
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
    accuracies = np.array([result.test_accuracy for result in results], dtype=np.float64)
    cross_entropies = np.array([result.test_cross_entropy for result in results], dtype=np.float64)
    predictions = [replica.predictions for replica in usable if replica.predictions is not None]
    logits = log_probability = None
    if predictions[0].dtype.names is None:
        opened = open_logits(predictions)
        logits, chosen = reduce_logits(opened), predict(opened).classes
    else:
        stacked = stack_predictions(predictions)
        log_probability, chosen = reduce_figures([stacked["log_probability"]]), stacked["argmax"]
    right = None if isinstance(labels, str) else chosen == labels.values

    def describe(values: np.ndarray | None) -> Components | None:
        if values is None or not np.isfinite(values).all():  # a masked class has no variance
            return None
        return describe_components(values.reshape(rows, columns, *values.shape[1:]))

    return Grid(
        sources=(first, second),
        levels=(rows, columns),
        accuracy=describe(accuracies),
        true_accuracy=None if right is None else describe_true_accuracy(right.reshape(rows, columns, -1)),
        cross_entropy=describe(cross_entropies),
        logits=describe(logits),
        log_probability=describe(log_probability),
    )


def reduce_logits(logits: Logits) -> np.ndarray:
    """Return few figures of each run for its logits, each example's centred; see `reduce_figures`."""
    blocks = (logits.take_block(rows) for rows in logits.iterate_blocks())
    with np.errstate(invalid="ignore"):
        return reduce_figures((part - part.mean(axis=2, keepdims=True)).reshape(len(part), -1) for part in blocks)


def reduce_figures(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Replace the M figures of each run by R figures whose variance components are the same on average.

    Components are quadratic in the runs' figures, so they can be computed from the Gram matrix of the runs alone.

    Args:
        blocks: The figures, float (R, B) each.

    Returns:
        float64 (R, R); NaN where not all figures are numbers.
    """
    gram, count = np.zeros(()), 0
    for block in blocks:
        part = block.astype(np.float64)
        gram = gram + part @ part.T
        count += part.shape[1]
    if not np.isfinite(gram).all():
        return np.full(gram.shape, np.nan)
    size, directions = np.linalg.eigh(gram / count)
    return directions * np.sqrt(np.maximum(size, 0.0) * len(gram))


def describe_true_accuracy(right: np.ndarray) -> Components | None:
    """Return the components of accuracy on all data of the test set's kind, percent squared; None of one example.

    n/(n−1) times the component of accuracy less that of the examples' own, (1/n²) Σ σ²(c_i), which is determined far
    better: the ends of the first one's interval are moved by it.

    Args:
        right: Whether the network of a cell is right on an example, bool (A, B, N).

    Source: Jordan (2024), theorem 2, for each component.
    """
    examples = right.shape[2]
    if examples < 2:
        return None
    variances, intervals = decompose_with_intervals(right.mean(axis=2))
    own = decompose(reduce_figures(_iterate_examples(right)).reshape(*right.shape[:2], -1)) / examples
    factor = 100.0**2 * examples / (examples - 1)
    moved = None if intervals is None else factor * (intervals - own[:, None])
    return name_components(factor * (variances - own), moved)


def _iterate_examples(right: np.ndarray) -> Iterator[np.ndarray]:
    """Yield whether cells (A·B) are right on a block of the examples, float64."""
    cells = right.reshape(-1, right.shape[2])
    for start in range(0, cells.shape[1], EXAMPLES_AT_ONCE):
        yield cells[:, start : start + EXAMPLES_AT_ONCE].astype(np.float64)


def describe_components(values: np.ndarray) -> Components:
    """Return the components of figures on a grid (A, B, …), with their intervals and shares."""
    return name_components(*decompose_with_intervals(values))


def name_components(variances: np.ndarray, intervals: np.ndarray | None) -> Components:
    """Return components (3,) with their intervals (3, 2) and their shares in the sum of all that are not negative."""
    whole = float(np.maximum(variances, 0.0).sum())

    def describe(number: int) -> Component:
        variance = float(variances[number])
        ends = None if intervals is None else (float(intervals[number, 0]), float(intervals[number, 1]))
        return Component(variance=variance, ci=ends, share=max(0.0, variance) / whole if whole > 0 else None)

    return Components(first=describe(0), second=describe(1), interaction=describe(2))
