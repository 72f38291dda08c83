"""Holds the outputs of some replicas on one test set, with the figures that several measures are computed from.

Shapes: R replicas, N examples or words, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np

from engine.metrics.formulas import Formulas
from engine.metrics.logits import Logits, find_largest
from engine.metrics.pairs import ROWS_AT_ONCE, Matrix, disagreement_matrix
from engine.metrics.parallel import each_in_parallel
from engine.study.estimate import Estimate

PART_VALUES = 2**18
"""Logits of one replica that one step of a thread looks at: in float64 they have to fit the processor's cache."""


@dataclass(frozen=True)
class Predicted:
    """Holds what some networks predict."""

    classes: np.ndarray
    """Class of the largest logit, the lowest of several, int (R, N)."""
    sound: np.ndarray
    """Whether a replica's logits are numbers, or −inf where an example has another class; bool (R,)."""
    tied: np.ndarray
    """Whether two classes of an example share the largest logit of some replica, bool (N,)."""


def predict(logits: Logits) -> Predicted:
    """Find the classes of the largest logits, and the replicas whose logits are none."""
    replicas, examples, _ = logits.shape
    classes, sound = np.empty((replicas, examples), dtype=np.intp), np.ones(replicas, dtype=bool)
    tied, lock = np.zeros(examples, dtype=bool), Lock()

    def look(replica: int) -> None:
        for rows in logits.iterate_parts():
            part = logits.read(replica, rows)
            largest = find_largest(part)
            maxima = part == largest[:, None]
            classes[replica, rows] = maxima.argmax(axis=1)
            if np.count_nonzero(maxima) > len(part):
                with lock:
                    tied[rows] |= maxima.sum(axis=1) > 1
            # NaN is the largest of some numbers, and no class is predicted.
            sound[replica] &= np.isfinite(largest).all()

    each_in_parallel(look, range(replicas))
    return Predicted(classes, sound, tied)


@dataclass(frozen=True)
class Probabilities:
    """Holds what the softmax of logits says."""

    cross_entropies: np.ndarray
    """Mean over examples of −log of the true class's probability, nats, float64 (R,)."""
    confidences: np.ndarray
    """The largest probability of each example, float64 (R, N)."""


@dataclass(frozen=True)
class ImageOutputs:
    """The logits of some classifying networks, and what these predict."""

    logits: Logits
    labels: np.ndarray
    """True class, int64 (N,)."""

    @cached_property
    def predicted(self) -> Predicted:
        """Return what the networks predict, and whether they do."""
        return predict(self.logits)

    @property
    def predictions(self) -> np.ndarray:
        """Predicted class, int (R, N)."""
        return self.predicted.classes

    @cached_property
    def accuracies(self) -> np.ndarray:
        """Percent, float64 (R,)."""
        return 100.0 * np.count_nonzero(self.right, axis=1) / len(self.labels)

    @cached_property
    def right(self) -> np.ndarray:
        """Tell where a replica predicts the true class, bool (R, N)."""
        return self.predictions == self.labels

    @cached_property
    def probabilities(self) -> Probabilities:
        """Return what the softmax of the logits says of the true and the predicted classes."""
        return find_probabilities(self.logits, self.labels)

    @property
    def cross_entropies(self) -> np.ndarray:
        """Nats, float64 (R,)."""
        return self.probabilities.cross_entropies

    @property
    def confidences(self) -> np.ndarray:
        """The probability of the predicted class, float64 (R, N)."""
        return self.probabilities.confidences

    @cached_property
    def _disagreements(self) -> Matrix:
        return disagreement_matrix(self.predictions, self.logits.shape[2])

    def find_disagreements(self) -> Matrix:
        """Return the disagreement of all pairs, percent (R, R); only a small matrix is kept for the next time."""
        if len(self.predictions) > ROWS_AT_ONCE:
            return disagreement_matrix(self.predictions, self.logits.shape[2])
        return self._disagreements.copy()


@dataclass(frozen=True)
class TextOutputs:
    """The predictions that some language models make before each word of a text."""

    likeliest: np.ndarray
    """Number of the likeliest word, int (R, N)."""
    log_probabilities: np.ndarray
    """Natural logarithm of the true word's probability, finite float (R, N)."""
    labels: np.ndarray
    """The true word, int (N,)."""

    @cached_property
    def cross_entropies(self) -> np.ndarray:
        """Nats per word, float64 (R,)."""
        return -self.log_probabilities.astype(np.float64).mean(axis=1)

    @cached_property
    def perplexities(self) -> np.ndarray:
        """The exponentials of the cross-entropies, float64 (R,)."""
        return np.exp(self.cross_entropies)


@dataclass(frozen=True)
class Outcomes:
    """The examples on which each replica predicts the right class, and how much the replicas disagree."""

    right: np.ndarray
    """bool (R, N), R and N of 1 or more."""
    disagreement: float | None
    """Percent, mean over pairs; None of one replica."""


IMAGE_FORMULAS: Formulas[ImageOutputs, np.ndarray | Estimate] = Formulas("images")
TEXT_FORMULAS: Formulas[TextOutputs, np.ndarray | Estimate] = Formulas("text")
DIAGNOSTIC_FORMULAS: Formulas[Outcomes, Estimate] = Formulas("diagnostics")


def are_logits(values: np.ndarray) -> bool:
    """Tell whether values (…, C) are logits: numbers, or −inf for a masked class where an example has another."""
    # The largest of some numbers is NaN where one of them is.
    return bool(np.isfinite(values).all()) or bool(np.isfinite(values.max(axis=-1)).all())


def find_probabilities(logits: Logits, labels: np.ndarray) -> Probabilities:
    """Find the probabilities of true classes, labels int (N,), and of predicted ones."""
    cross_entropies, confidences = np.empty(logits.shape[0]), np.empty(logits.shape[:2])

    def measure(replica: int) -> None:
        cross_entropies[replica] = np.mean(_find_losses(logits, labels, replica, confidences[replica]))

    each_in_parallel(measure, range(len(cross_entropies)))
    return Probabilities(cross_entropies, confidences)


def find_losses(logits: Logits, labels: np.ndarray) -> np.ndarray:
    """Find −log of the true class's probability, nats, float64 (R, N)."""
    losses = np.empty(logits.shape[:2])

    def measure(replica: int) -> None:
        losses[replica] = _find_losses(logits, labels, replica, np.empty(len(labels)))

    each_in_parallel(measure, range(len(losses)))
    return losses


def _find_losses(logits: Logits, labels: np.ndarray, replica: int, confidences: np.ndarray) -> np.ndarray:
    """Return the loss of a replica on each example (N,), and write the probabilities of what it predicts."""
    losses = np.empty(len(labels))
    for rows in logits.iterate_parts(PART_VALUES):
        part = logits.read(replica, rows).astype(np.float64)
        part -= find_largest(part)[:, None]
        wanted = part[np.arange(len(part)), labels[rows]]
        sums = np.einsum("ij->i", np.exp(part, out=part))  # of few classes, four times as fast as sum
        losses[rows] = np.log(sums) - wanted
        np.divide(1.0, sums, out=confidences[rows])
    return losses
