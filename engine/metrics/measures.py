"""The measures of networks that classify, from their logits on one test set.

Source: paper, section 3.1. Shapes: R replicas, N examples, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from engine.catalog.measures import MEASURES
from engine.metrics import disputes, ensembles, pairwise
from engine.metrics.estimates import Measured, Resampling, measure_all, measure_nothing
from engine.metrics.logits import Logits
from engine.metrics.outputs import IMAGE_FORMULAS, ImageOutputs

FORMULA_MODULES = (disputes, ensembles, pairwise)
"""Modules that hold formulas of images beside this one."""

C = TypeVar("C")


@IMAGE_FORMULAS.computes("accuracy_mean", "accuracy_sd")
def measure_accuracies(outputs: ImageOutputs) -> np.ndarray:
    """Return the accuracy of each replica."""
    return outputs.accuracies


@IMAGE_FORMULAS.computes("cross_entropy_mean", "cross_entropy_sd")
def measure_losses(outputs: ImageOutputs) -> np.ndarray:
    """Return the cross-entropy of each replica."""
    return ensembles.refuse_infinite(outputs.cross_entropies)


IMAGE_FORMULAS.check()


def _declare_fields(cls: type[C]) -> type[C]:
    """Give a class that becomes a dataclass a field for every field of every measure, None where it has no value."""
    for measure in MEASURES["images"]:
        for name in measure.fields:
            cls.__annotations__[name] = tuple[float, float] | None if name == measure.interval_field else float | None
            setattr(cls, name, None)
    return cls


@dataclass(frozen=True, kw_only=True)
@_declare_fields
class Diversity:
    """The diversity of R replicas; a value that does not exist is None, and `reasons` says why.

    Its other fields are those of the measures of images in engine/catalog/measures.py: KEY, with KEY_error or KEY_ci.
    """

    n: int
    """Replicas."""
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    """Field → why it is None."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def diversity(logits: np.ndarray, labels: np.ndarray, *, bootstrap: int = 10_000, seed: int = 1) -> Diversity:
    """Measure how different some replicas are.

    Args:
        logits: Float (R, N, C), in memory or mapped; not changed. A class may be masked with −inf where an example has
            another. Beside arrays larger than 256 MB, 2 GiB of memory are enough for N·C up to 50 million.
        labels: True class, int (N,), 0…C−1.
        bootstrap: Resamples behind the errors of the SDs; 0 leaves them out.
        seed: The seed of the resamples.

    Raises:
        ValueError: If the shapes do not fit, or labels lie outside 0…C−1.
    """
    check_shapes(logits, labels)
    found = measure_images(
        ImageOutputs(Logits.of_array(logits), labels.astype(np.int64)), bootstrap=bootstrap, seed=seed
    )
    fields: dict[str, Any] = {}
    for measure in MEASURES["images"]:
        estimate = found.estimates[measure.key]
        fields[measure.key] = estimate.value
        if measure.error_field is not None:
            fields[measure.error_field] = estimate.error
        if measure.interval_field is not None:
            fields[measure.interval_field] = estimate.interval
    return Diversity(n=found.n, reasons=found.reasons, **fields)


def measure_images(outputs: ImageOutputs, *, bootstrap: int = 10_000, seed: int = 1) -> Measured:
    """Compute every measure of images; see `diversity`."""
    replicas, examples, _ = outputs.logits.shape
    if replicas == 0 or examples == 0:
        reason = "there are no replicas" if replicas == 0 else "there are no test examples"
        return measure_nothing("images", replicas, reason)
    broken = np.flatnonzero(~outputs.predicted.sound)
    if len(broken):
        names = ", ".join(str(replica + 1) for replica in broken)
        return measure_nothing("images", replicas, f"logits that are not finite in replica {names}")
    return measure_all(IMAGE_FORMULAS, outputs, replicas, Resampling(bootstrap, seed))


def check_shapes(logits: np.ndarray, labels: np.ndarray) -> None:
    """Compare logits with labels.

    Raises:
        ValueError: If they are not (R, N, C) and (N,), no floats and integers, or labels lie outside 0…C−1.
    """
    if logits.ndim != 3 or labels.ndim != 1 or logits.shape[1] != len(labels):
        raise ValueError(f"logits {logits.shape} and labels {labels.shape}, expected (R, N, C) and (N,)")
    if not np.issubdtype(logits.dtype, np.floating) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"logits of {logits.dtype} and labels of {labels.dtype}, expected floats and integers")
    if logits.size and (labels.min() < 0 or labels.max() >= logits.shape[2]):
        raise ValueError(f"labels in {labels.min()}…{labels.max()}, expected 0…{logits.shape[2] - 1}")
