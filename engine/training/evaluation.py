"""The test set as a model sees it: logits, their figures, test-time views, and the snapshot schedule's members."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.catalog.presets import crop_padding, crop_steps
from engine.errors import DataError
from engine.recipe import EvaluateRecipe, Recipe
from engine.training.data.datasets import Dataset

EVALUATION_BATCH = 1000
"""Examples per forward pass on the test set; fixed, as rounding depends on it."""


@dataclass(frozen=True)
class ImageEvaluation:
    """The test set as a model sees it."""

    logits: Tensor
    """float32 (N, C)."""
    accuracy: float
    """Percent."""
    cross_entropy: float
    """Nats."""
    perplexity: None = None
    """Is not defined for images."""

    @property
    def is_finite(self) -> bool:
        """Tell whether all logits are numbers; a class may be masked with −inf where an example has another.

        A cross-entropy that is a number says so already.
        """
        return math.isfinite(self.cross_entropy) or bool(torch.isfinite(self.logits.amax(1)).all())

    def to_array(self) -> np.ndarray:
        """Return the logits, float32 (N, C)."""
        return self.logits.float().cpu().numpy()


def evaluate(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    views: EvaluateRecipe | None = None,
    *,
    classify: Callable[[Tensor], Tensor] | None = None,
) -> ImageEvaluation:
    """Compute logits, accuracy in percent and cross-entropy in nats on the test set.

    Args:
        model: A network in any mode; it is left in evaluation mode.
        data: The examples, on the model's device.
        recipe: Gives the precision.
        views: What each test image is seen as; the mean of the views' logits counts. None for the image alone.
        classify: Computes what the model computes; None for the model itself.
    """
    model.eval()
    classify = classify or model
    parts: list[Tensor] = []
    with torch.no_grad(), autocast(recipe, data.test_inputs.device):
        for start in range(0, len(data.test_labels), EVALUATION_BATCH):
            inputs = data.test_inputs[start : start + EVALUATION_BATCH]
            if views is None:
                parts.append(classify(data.normalise(inputs)).float())
            else:
                logits = [classify(data.normalise(view)).double() for view in make_views(inputs, views)]
                parts.append(torch.stack(logits).mean(0).float())
    return judge(torch.cat(parts), data)


def make_views(inputs: Tensor, views: EvaluateRecipe) -> Iterator[Tensor]:
    """Yield every crop of some stored images, each followed by its mirror image where mirroring is asked for.

    Args:
        inputs: (B, C, H, W), before normalisation: crops reach into zeros, as in training.
        views: Which.

    Raises:
        DataError: If the crops make no grid over the padding of images of this size.

    Source: the test-time augmentation of Summers & Dinneen (ICML 2021): 25 crops are every second offset over a
    padding of 4 pixels, 81 are all.
    """
    if inputs.dim() != 4:
        raise DataError(
            f"evaluate: needs images (C, H, W), and the data's examples have shape {tuple(inputs.shape[1:])}"
        )
    height, width = inputs.shape[2:]
    pad = crop_padding(width)
    step = crop_steps(views.crops, pad)
    if step is None:
        raise DataError(f"evaluate.crops: {views.crops} make no regular grid over the {pad} pixels of padding")
    offsets = [pad] if views.crops == 1 else [step * i for i in range(math.isqrt(views.crops))]
    padded = functional.pad(inputs, (pad, pad, pad, pad))
    for top in offsets:
        for left in offsets:
            view = padded[:, :, top : top + height, left : left + width]
            yield view
            if views.flip:
                yield view.flip(3)


def judge(logits: Tensor, data: Dataset) -> ImageEvaluation:
    """Compute the figures of some logits."""
    labels = data.test_labels
    on_cpu = logits.device.type == "cpu"
    correct = count_correct(logits, lower_columns(logits), labels) if on_cpu else _count_slowly(logits, labels)
    return _evaluate(logits, correct, float(functional.cross_entropy(logits.double(), labels)))


def judge_stacked(logits: Tensor, data: Dataset) -> list[ImageEvaluation]:
    """Compute the figures of the logits (K, N, C) of a pack.

    On CPUs cross-entropies are added up by class, eight examples at a time, where `judge` goes from example to example:
    they agree but for the last digits.
    """
    if logits.device.type != "cpu":
        return [judge(own, data) for own in logits]
    found: list[ImageEvaluation] = []
    for own in logits:
        lowered = lower_columns(own)
        correct = count_correct(own, lowered, data.test_labels)
        found.append(_evaluate(own, correct, average_cross_entropy(lowered, data.test_labels)))
    return found


def lower_columns(logits: Tensor) -> Tensor:
    """Return logits (N, C) less the largest of each example, float64 (C, N)."""
    columns = logits.t().to(torch.float64, memory_format=torch.contiguous_format)
    return columns - columns.amax(0)


def count_correct(logits: Tensor, lowered: Tensor, labels: Tensor) -> int:
    """Count the examples whose first largest logit is that of their class.

    Args:
        logits: (N, C).
        lowered: See `lower_columns`.
        labels: (N,).
    """
    if not bool(((lowered == 0).sum(0, dtype=torch.int32) == 1).all()):  # two are the largest, or one is no number
        return _count_slowly(logits, labels)
    return int((lowered.gather(0, labels[None]) == 0).count_nonzero())


def average_cross_entropy(lowered: Tensor, labels: Tensor) -> float:
    """Return the mean cross-entropy, nats, of the logits that `lower_columns` has lowered."""
    wanted = lowered.gather(0, labels[None])[0]
    return float((lowered.exp().sum(0).log() - wanted).mean())


def _count_slowly(logits: Tensor, labels: Tensor) -> int:
    return int((logits.argmax(1) == labels).sum())


def _evaluate(logits: Tensor, correct: int, cross_entropy: float) -> ImageEvaluation:
    return ImageEvaluation(logits, 100.0 * correct / len(logits), cross_entropy)


def autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which forward passes compute in a recipe's precision."""
    if recipe.train.precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


class SnapshotEnsemble:
    """Adds up the predictions at the ends of the snapshot schedule's cycles; their mean is the run's prediction.

    Source: paper, section 5; the published code averages logits.
    """

    def __init__(self, recipe: Recipe) -> None:
        """Begin before the end of the first cycle; other schedules have no members."""
        self.cycles = recipe.train.cycles or 0
        self.cycle_epochs = recipe.train.epochs // self.cycles if self.cycles else 0
        self.count = 0
        self.total: Tensor | None = None

    @property
    def complete(self) -> bool:
        """Tell whether every cycle has ended."""
        return self.cycles > 0 and self.count == self.cycles

    def ends_at(self, epoch: int) -> bool:
        """Tell whether an epoch ends a cycle."""
        return self.cycles > 0 and epoch % self.cycle_epochs == 0

    def add(self, evaluation: ImageEvaluation) -> None:
        """Take the logits of an epoch that ends a cycle."""
        logits = evaluation.logits.double().cpu()
        self.total = logits if self.total is None else self.total + logits
        self.count += 1

    def evaluate(self, data: Dataset) -> ImageEvaluation:
        """Return the mean logits, float32, and their figures."""
        assert self.total is not None, "a complete ensemble has members"
        return judge((self.total / self.cycles).float().to(data.test_labels.device), data)

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint holds; inverse of `restore`."""
        return {} if self.total is None else {"total": self.total, "count": torch.tensor(self.count)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore the state of a checkpoint."""
        if "total" in state:
            self.total, self.count = state["total"], int(state["count"])
