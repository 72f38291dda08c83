"""Holds the outputs of some replicas on one test set, with the figures that several measures are computed from.

Shapes: R replicas, N examples or words, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.metrics.formulas import Formulas
from engine.metrics.parallel import each_in_parallel
from engine.study.metrics_record import Estimate


@dataclass(frozen=True)
class ImageOutputs:
    """The logits of some classifying networks."""

    logits: np.ndarray
    """Float (R, N, C), −inf for masked classes."""
    labels: np.ndarray
    """True class, int64 (N,)."""

    @cached_property
    def predictions(self) -> np.ndarray:
        """Predicted class, int (R, N)."""
        return self.logits.argmax(axis=2)

    @cached_property
    def accuracies(self) -> np.ndarray:
        """Percent, float64 (R,)."""
        return 100.0 * np.count_nonzero(self.predictions == self.labels, axis=1) / len(self.labels)

    @cached_property
    def cross_entropies(self) -> np.ndarray:
        """Nats, float64 (R,)."""
        return measure_cross_entropies(self.logits, self.labels)


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


def measure_cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean of −log softmax(logits)[label] of each replica, in nats, float64 (R,)."""
    figures = np.empty(len(logits))
    places = np.arange(len(labels))

    def measure(replica: int) -> None:
        part = logits[replica].astype(np.float64)
        part -= part.max(axis=1, keepdims=True)
        wanted = part[places, labels]
        figures[replica] = np.mean(np.log(np.exp(part, out=part).sum(axis=1)) - wanted)

    each_in_parallel(measure, range(len(logits)))
    return figures
