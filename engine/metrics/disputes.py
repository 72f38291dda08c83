"""Measures what replicas disagree about: right against wrong, classes, single examples, and the calibration of votes.

Shapes: R replicas, N examples, C classes.
"""

from __future__ import annotations

import math

import numpy as np

from engine.catalog.disputes import BINS
from engine.catalog.measures import find_measure
from engine.metrics.outputs import IMAGE_FORMULAS, ImageOutputs
from engine.metrics.pairs import disagreement_matrix, iterate_disagreements
from engine.metrics.parallel import each_in_parallel
from engine.metrics.spread import FEWEST, count_joint_freedom, variance_ends
from engine.study.estimate import Estimate
from engine.study.metrics_record import ClassFigures, Disputes, ExampleVotes

LISTED_CLASSES = 5
LISTED_EXAMPLES = 10
LISTED_SHARES = 4
"""How many classes and examples are listed, and classes that replicas vote for."""


@IMAGE_FORMULAS.computes("disagreement_right")
def measure_right_against_wrong(outputs: ImageOutputs) -> np.ndarray:
    """Return the percentage of examples on which one of two replicas is right and the other wrong, (R, R)."""
    return disagreement_matrix(outputs.right, 2)


@IMAGE_FORMULAS.computes("disagreement_wrong")
def measure_wrong_against_wrong(outputs: ImageOutputs) -> np.ndarray:
    """Return the percentage of examples on which two replicas predict different wrong classes, (R, R)."""
    matrix = outputs.find_disagreements()
    for rows, part in iterate_disagreements(outputs.right, 2):
        matrix[rows] -= part
    return np.maximum(matrix, 0.0, out=matrix)  # rounding alone can make it negative


@IMAGE_FORMULAS.computes("error_gap")
def measure_error_gap(outputs: ImageOutputs) -> np.ndarray:
    """Return the disagreement of two replicas less the mean of their test errors, percentage points (R, R)."""
    matrix = outputs.find_disagreements()
    errors = 100.0 - outputs.accuracies
    for number, error in enumerate(errors):
        matrix[number] -= (error + errors) / 2
    return matrix


@IMAGE_FORMULAS.computes("disputed")
def measure_disputed(outputs: ImageOutputs) -> Estimate:
    """Return the percentage of examples for which not all replicas predict one class."""
    unanimous: np.ndarray = (outputs.predictions == outputs.predictions[0]).all(axis=0)
    return Estimate(100.0 * (1.0 - float(unanimous.mean())))


@IMAGE_FORMULAS.computes("calibration_error")
def measure_calibration(outputs: ImageOutputs) -> np.ndarray:
    """Return the expected calibration error of each replica, percent (R,)."""
    confidences, right = outputs.confidences, outputs.right
    errors = np.empty(len(right))

    def measure(replica: int) -> None:
        bins = np.clip(np.ceil(BINS * confidences[replica]).astype(np.intp) - 1, 0, BINS - 1)
        surplus = right[replica] - confidences[replica]
        errors[replica] = np.abs(np.bincount(bins, surplus, BINS)).sum() / right.shape[1]

    each_in_parallel(measure, range(len(right)))
    return 100.0 * errors


@IMAGE_FORMULAS.computes("vote_calibration_error")
def measure_vote_calibration(outputs: ImageOutputs) -> Estimate:
    """Return how far shares of votes are from how often they are for the true class, percent.

    |H − q·M| is added up over the shares q, M the classes of examples that have it and H the true ones of them.
    """
    replicas, examples = outputs.predictions.shape
    cast = np.bincount(_count_votes(outputs.predictions)[1], minlength=replicas + 1)
    true = np.bincount(np.count_nonzero(outputs.right, axis=0), minlength=replicas + 1)
    shares = np.linspace(0.0, 1.0, replicas + 1)
    return Estimate(100.0 * float(np.abs(true - shares * cast).sum()) / examples)


def _count_votes(predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an example and a number of votes for each of its classes that has any, from classes int (R, N)."""
    ordered = np.sort(predictions.T, axis=1)
    examples, replicas = ordered.shape
    starts = np.ones((examples, replicas), dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=starts[:, 1:])
    places = np.flatnonzero(starts)
    return places // replicas, np.diff(np.append(places, examples * replicas))


@IMAGE_FORMULAS.computes("class_sd")
def measure_class_sd(outputs: ImageOutputs) -> Estimate:
    """Return the SD of the accuracy within a class, root of the mean square over classes, with its interval."""
    _, accuracies = find_class_accuracies(outputs)
    effects = accuracies - accuracies[0]  # of equal replicas exactly zero
    variance = float(np.var(effects, axis=0, ddof=1).mean())
    value = math.sqrt(variance)
    if len(effects) < FEWEST:
        return Estimate(value)
    low, high = variance_ends(np.array(variance), count_joint_freedom(effects))
    bounds = find_measure("images", "class_sd").bounds
    return Estimate(value, interval=(math.sqrt(low), min(math.sqrt(high), math.inf if bounds is None else bounds[1])))


@IMAGE_FORMULAS.computes("worst_class")
def measure_worst_class(outputs: ImageOutputs) -> Estimate:
    """Return the mean accuracy on the class on which it is lowest."""
    return Estimate(float(find_class_accuracies(outputs)[1].mean(axis=0).min()))


def find_class_accuracies(outputs: ImageOutputs) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes that have test examples, and each replica's accuracy on them, percent float64 (R, K)."""
    sizes = np.bincount(outputs.labels)
    classes = np.flatnonzero(sizes)
    hits = np.stack([np.bincount(outputs.labels[right], minlength=len(sizes)) for right in outputs.right])
    return classes, 100.0 * hits[:, classes] / sizes[classes]


def describe_disputes(outputs: ImageOutputs) -> Disputes | None:
    """List the classes and the examples on which replicas differ most; None below two replicas."""
    if len(outputs.predictions) < 2:
        return None
    classes, accuracies = find_class_accuracies(outputs)
    above = accuracies - accuracies[0]  # of equal replicas exactly zero, whatever their mean rounds to
    means, deviations = accuracies[0] + above.mean(axis=0), above.std(axis=0, ddof=1)
    sizes = np.bincount(outputs.labels)[classes]

    def describe(order: np.ndarray) -> tuple[ClassFigures, ...]:
        return tuple(
            ClassFigures(
                label=int(classes[number]),
                examples=int(sizes[number]),
                accuracy=float(means[number]),
                sd=float(deviations[number]),
            )
            for number in order[:LISTED_CLASSES]
        )

    return Disputes(
        classes=len(classes),
        worst=describe(np.argsort(means, kind="stable")),
        unsteady=describe(np.argsort(-deviations, kind="stable")),
        examples=tuple(_describe_example(outputs, int(number)) for number in _find_unstable(outputs.predictions)),
    )


def _find_unstable(predictions: np.ndarray) -> np.ndarray:
    """Return the numbers of the examples on which most pairs of replicas disagree, as many as are listed."""
    numbers, votes = _count_votes(predictions)
    agreements = np.bincount(numbers, np.square(votes))
    least = np.argsort(agreements, kind="stable")[:LISTED_EXAMPLES]
    return least[agreements[least] < len(predictions) ** 2]


def _describe_example(outputs: ImageOutputs, number: int) -> ExampleVotes:
    chosen, votes = np.unique(outputs.predictions[:, number], return_counts=True)
    order = np.argsort(-votes, kind="stable")[:LISTED_SHARES]
    shares = tuple((int(chosen[place]), float(votes[place] / votes.sum())) for place in order)
    return ExampleVotes(index=number, label=int(outputs.labels[number]), shares=shares)
