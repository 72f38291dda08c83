"""Checks predictions of a user's own, and turns them into what a study keeps.

Shapes: N test examples, C classes. Logits and probabilities are kept as float32 (N, C), probabilities as their
logarithms; classes as int32 (N,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.errors import NondetError

SUM_TOLERANCE = 0.01
"""How far the sum of an example's probabilities may be from 1: they may come in half precision."""


@dataclass(frozen=True)
class Taken:
    """Holds what a study keeps of one run's predictions."""

    values: np.ndarray
    accuracy: float
    """Percent."""
    cross_entropy: float | None
    """Nats; None of classes, and where it is not finite."""
    finite: bool
    """Whether all predictions are numbers."""


def take_labels(values: np.ndarray, name: str) -> np.ndarray:
    """Return true classes as int64 (N,).

    Raises:
        NondetError: If they are none.
    """
    if values.ndim != 1 or not len(values):
        raise NondetError(f"{name}: holds {values.dtype} {values.shape}, not the true class of each test example (N,)")
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values) or whole.min() < 0:
        raise NondetError(f"{name}: holds values that are no classes 0, 1, 2, …")
    return whole


def take_predictions(values: np.ndarray, labels: np.ndarray, kind: str, name: str) -> Taken:
    """Check one run's predictions.

    Args:
        values: As they were read: (N, C), or (N,) of classes.
        labels: int64 (N,).
        kind: logits, probabilities or classes.
        name: The file's, for messages.

    Raises:
        NondetError: If they do not fit the labels, or are not of their kind.
    """
    expected = (len(labels),) if kind == "classes" else (len(labels), "C")
    if values.ndim != len(expected) or len(values) != len(labels):
        wanted = f"{kind} ({', '.join(map(str, expected))})"
        raise NondetError(f"{name}: holds {values.dtype} {values.shape}, not {wanted} for {len(labels)} labels")
    if kind == "classes":
        chosen = take_labels(values, name).astype(np.int32)
        return Taken(chosen, _percent(chosen == labels), None, True)
    if values.shape[1] < 2:
        raise NondetError(f"{name}: holds one column, and a network that classifies has one for each class")
    if labels.max() >= values.shape[1]:
        raise NondetError(f"{name}: has {values.shape[1]} classes, and a label is {labels.max()}")
    logits = np.ascontiguousarray(values, dtype=np.float32)
    if kind == "probabilities":
        logits = _take_logarithms(logits, name)
    elif _are_probabilities(logits):
        raise NondetError(
            f"{name}: holds probabilities, which are 0 or more and add up to 1 in every example, and no logits, of "
            f'which the cross-entropy would be another: say kind = "probabilities" (--kind probabilities of import)'
        )
    # A class may be masked by −inf where an example has another.
    finite = bool(np.isfinite(logits.max(axis=1)).all()) and not np.isnan(logits).any()
    if not finite:
        return Taken(logits, _percent(_choose(logits) == labels), None, False)
    return Taken(logits, _percent(_choose(logits) == labels), _cross_entropy(logits, labels), True)


def _choose(logits: np.ndarray) -> np.ndarray:
    return np.argmax(np.nan_to_num(logits, nan=-np.inf), axis=1)


def _percent(right: np.ndarray) -> float:
    return 100.0 * float(np.count_nonzero(right)) / len(right)


def _are_probabilities(values: np.ndarray) -> bool:
    """Tell whether all numbers are 0 or more, and those of every example add up to 1."""
    if not np.isfinite(values).all() or values.min() < 0:
        return False
    return bool(np.abs(values.sum(axis=1, dtype=np.float64) - 1).max() <= SUM_TOLERANCE)


def _take_logarithms(values: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(values).all():
        return np.full_like(values, np.nan)
    if not _are_probabilities(values):
        raise NondetError(
            f'{name}: holds no probabilities, which are 0 or more and add up to 1: is kind = "logits" meant?'
        )
    with np.errstate(divide="ignore"):
        return np.log(values)


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float | None:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    losses = np.log(np.exp(wide).sum(axis=1)) - wide[np.arange(len(labels)), labels]
    mean = float(losses.mean())
    return mean if np.isfinite(mean) else None
