"""Replicas that predict classes, with known disagreements in them, and how often intervals of these hold the truth.

Shapes: T studies, R replicas, N examples, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.catalog.measures import find_measure
from engine.metrics.disputes import measure_class_sd, measure_error_gap, measure_wrong_against_wrong
from engine.metrics.intervals import pairs_interval
from engine.metrics.logits import Logits
from engine.metrics.outputs import ImageOutputs
from engine.study.estimate import Estimate
from tests.helpers.simulated_replicas import Classifiers, cover

CLASSES = 10
SEED = 20


@dataclass(frozen=True)
class Voters:
    """Classifiers that, where they are wrong, predict one of the other classes with chances of the example's own.

    The first of its other classes has the chance `leading`, and the others share the rest. Classes take turns over the
    examples, so that each has examples of every difficulty.
    """

    outcomes: Classifiers
    leading: float

    @property
    def labels(self) -> np.ndarray:
        """True class, int (N,)."""
        return np.arange(self.outcomes.examples) % CLASSES

    def draw(self, rng: np.random.Generator, studies: int, replicas: int) -> Iterator[ImageOutputs]:
        """Yield the outputs of each study."""
        labels = self.labels
        for part in self.outcomes.draw(rng, studies, replicas):
            for right in part:
                others = rng.integers(1, CLASSES - 1, size=right.shape)  # all but the leading one, which is CLASSES − 1
                steps = np.where(rng.random(right.shape) < self.leading, CLASSES - 1, others)
                predictions = np.where(right, labels, (labels + steps) % CLASSES)
                logits = np.zeros((*predictions.shape, CLASSES), dtype=np.float32)
                np.put_along_axis(logits, predictions[..., None], 1.0, axis=2)
                yield ImageOutputs(Logits.of_array(logits), labels)

    @property
    def _right(self) -> np.ndarray:
        """The chance of each example to be predicted right by some replica, (N,)."""
        chances, weights = self.outcomes.chances
        return chances @ weights

    @property
    def wrong_against_wrong(self) -> float:
        """The mean percentage of examples on which two replicas predict different wrong classes."""
        same = self.leading**2 + (1 - self.leading) ** 2 / (CLASSES - 2)
        return 100.0 * float(np.mean(np.square(1 - self._right))) * (1 - same)

    @property
    def error_gap(self) -> float:
        """The mean disagreement less the mean error, percentage points."""
        error = 100.0 * float(np.mean(1 - self._right))
        return self.outcomes.disagreement + self.wrong_against_wrong - error

    @property
    def class_sd(self) -> float:
        """The root of the mean variance of a replica's accuracy on a class, percent."""
        chances, weights = self.outcomes.chances
        variances: list[float] = []
        for label in range(CLASSES):
            own = chances[self.labels == label]
            by_chance = float((own * (1 - own) @ weights).sum()) / len(own) ** 2
            means = own.mean(axis=0)
            variances.append(by_chance + float(np.square(means - means @ weights) @ weights))
        return 100.0 * float(np.sqrt(np.mean(variances)))


Formula = Callable[[ImageOutputs], np.ndarray | Estimate]


def take_matrix(formula: Formula, outputs: ImageOutputs) -> np.ndarray:
    """Return what a formula of pairs computes, (R, R)."""
    found = formula(outputs)
    assert isinstance(found, np.ndarray)
    return found


def take_estimate(formula: Formula, outputs: ImageOutputs) -> tuple[float, tuple[float, float]]:
    """Return the value and the interval that a formula computes."""
    found = formula(outputs)
    assert isinstance(found, Estimate)
    assert found.value is not None
    assert found.interval is not None
    return found.value, found.interval


def cover_wrong(voters: Voters, replicas: int, trials: int) -> tuple[float, float]:
    """Cover the disagreement between wrong classes: with pairs as independent, and with the jackknife."""
    studies = voters.draw(np.random.default_rng(SEED), trials, replicas)
    matrices = [take_matrix(measure_wrong_against_wrong, outputs) for outputs in studies]
    return _cover_pairs(np.array(matrices), "disagreement_wrong", voters.wrong_against_wrong)


def cover_gap(voters: Voters, replicas: int, trials: int) -> tuple[float, float]:
    """Cover the disagreement less the error: with pairs as independent, and with the jackknife."""
    studies = voters.draw(np.random.default_rng(SEED), trials, replicas)
    matrices = [take_matrix(measure_error_gap, outputs) for outputs in studies]
    return _cover_pairs(np.array(matrices), "error_gap", voters.error_gap)


def _cover_pairs(matrices: np.ndarray, key: str, truth: float) -> tuple[float, float]:
    pairs = matrices[:, *np.triu_indices(matrices.shape[1], 1)]
    centre, half = pairs.mean(axis=1), 1.96 * pairs.std(axis=1, ddof=1) / pairs.shape[1] ** 0.5
    ours = pairs_interval(matrices, find_measure("images", key).bounds)
    return cover((centre - half, centre + half), truth), cover(ours, truth)


def cover_class_sd(voters: Voters, replicas: int, trials: int) -> tuple[float, float]:
    """Cover the SD within a class: with the classes' variances as independent, and as it is measured."""
    simple, ours = np.empty((trials, 2)), np.empty((trials, 2))
    for number, outputs in enumerate(voters.draw(np.random.default_rng(SEED), trials, replicas)):
        ours[number] = take_estimate(measure_class_sd, outputs)[1]
        accuracies = 100.0 * outputs.right.reshape(replicas, -1, CLASSES).mean(axis=1)
        variances = accuracies.var(axis=0, ddof=1)
        half = 1.96 * variances.std(ddof=1) / CLASSES**0.5
        simple[number] = np.sqrt(np.maximum(variances.mean() + np.array([-half, half]), 0.0))
    truth = voters.class_sd
    return cover((simple[:, 0], simple[:, 1]), truth), cover((ours[:, 0], ours[:, 1]), truth)


SURE = Voters(Classifiers(ease=4.0, spread=2.5, quality=0.15, examples=800), leading=0.5)
UNSURE = Voters(Classifiers(ease=0.0, spread=1.5, quality=0.15, examples=800), leading=0.2)
DRIFTING = Voters(Classifiers(ease=4.0, spread=2.5, quality=0.5, examples=800), leading=0.5)
