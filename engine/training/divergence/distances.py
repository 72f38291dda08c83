"""Measures how far two replicas are apart: in weights, in what they say of the test set, and in what they predict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.study.divergence_record import Tensors
from engine.tracing import values
from engine.training.digests import digest_stacked
from engine.training.tasks.stacked_images import StackedImageTask
from engine.training.tasks.stacked_text import StackedTextTask
from engine.training.tasks.task import Evaluation, Task
from engine.training.tasks.text_reading import PREDICTION


def digest_states(task: Task[Any]) -> list[str]:
    """Return a digest of each replica's weights, buffers and optimiser state: of all that later steps depend on.

    Where the learning rate of a step is 0, the optimiser's state alone shows that its gradients differ.
    """
    optimiser = _find_optimiser(task)
    packed = isinstance(task, StackedImageTask | StackedTextTask)
    state = {
        f"{group} {number} {name}": value if packed else value[None]
        for group, held in enumerate(optimiser.param_groups)
        for number, parameter in enumerate(held["params"])
        for name, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor) and value.dim()
    }
    weights = task.digests()
    return [a + b for a, b in zip(weights, digest_stacked(state), strict=True)] if state else weights


def _find_optimiser(task: Task[Any]) -> torch.optim.Optimizer:
    packed = isinstance(task, StackedImageTask | StackedTextTask)
    return task.pack.optimiser if packed else getattr(task, "optimiser")  # noqa: B009


@dataclass(frozen=True)
class WeightDistance:
    """Holds how far the weights of two networks are apart."""

    length: float
    """The Euclidean length of their difference, over all parameters."""
    relative: float
    """The same as a share of the length of the first one's weights."""


def find_network(task: Task[Any]) -> nn.Module:
    """Return the module that a task trains: of a pack, all replicas together."""
    return task.pack if isinstance(task, StackedImageTask | StackedTextTask) else getattr(task, "model")  # noqa: B009


def read_parameters(task: Task[Any], slot: int) -> dict[str, Tensor]:
    """Return a replica's parameters by name, without buffers, as they lie in the task."""
    if isinstance(task, StackedImageTask | StackedTextTask):
        return {name: stacked.detach()[slot] for name, stacked in task.pack.stacked.items()}
    return {name: parameter.detach() for name, parameter in find_network(task).named_parameters()}


def measure_weights(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> WeightDistance:
    """Compute the distance of two networks of one architecture, in float64."""
    squares = [
        torch.stack([(a.double() - b.double()).square().sum(), a.double().square().sum()])
        for a, b in zip(one.values(), other.values(), strict=True)
    ]
    apart, size = torch.stack(squares).sum(0).sqrt().tolist()
    return WeightDistance(apart, apart / size if size else math.nan)


@dataclass(frozen=True)
class OutputDistance:
    """Holds how far two networks are apart on test examples."""

    logits: float
    """Root mean square of the difference, over examples and classes; for text, of the true word's log-probability."""
    relative: float
    """The same as a share of the root mean square of the first one's."""
    disagreement: float
    """Percent of examples of which they predict different classes."""


def measure_outputs(one: Evaluation, other: Evaluation) -> OutputDistance:
    """Compute how far two networks are apart on the examples that both have judged."""
    a, b = one.to_array(), other.to_array()
    if a.dtype == PREDICTION:
        classes = a["argmax"], b["argmax"]
        a, b = a["log_probability"], b["log_probability"]
    else:
        classes = a.argmax(1), b.argmax(1)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = float(np.sqrt(np.square(a.astype(np.float64) - b).mean()))
        size = float(np.sqrt(np.square(a.astype(np.float64)).mean()))
    return OutputDistance(apart, apart / size if size else math.nan, 100.0 * float((classes[0] != classes[1]).mean()))


def compare_tensors(one: Tensor | None, other: Tensor | None) -> Tensors | None:
    """Describe how two tensors differ; None where they do not, or one is not there."""
    found = None if one is None or other is None else values.measure(one, other)
    return None if found is None else Tensors(**found._asdict())
