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
        """Return the logits, float32 (N, C), row by row in memory."""
        return np.ascontiguousarray(self.logits.float().cpu().numpy())


def predict(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    views: EvaluateRecipe | None = None,
    *,
    classify: Callable[[Tensor], Tensor] | None = None,
    hand_out: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Compute the logits of the test set, float32 (N, C).

    Args:
        model: A network in any mode; it is left in evaluation mode.
        data: The examples, on the model's device.
        recipe: Gives the precision.
        views: What each test image is seen as; the mean of the views' logits counts. None for the image alone.
        classify: Computes what the model computes; None for the model itself.
        hand_out: Makes inputs of stored examples; None for inputs that the network may write into.
    """
    model.eval()
    classify, hand_out = classify or model, hand_out or data.feed
    parts: list[Tensor] = []
    with torch.no_grad(), autocast(recipe, data.test_inputs.device):
        for inputs in data.test_inputs.split(EVALUATION_BATCH):
            if views is None:
                parts.append(classify(hand_out(inputs)).float())
            else:
                logits = [classify(hand_out(view)).double() for view in make_views(inputs, views)]
                parts.append(torch.stack(logits).mean(0).float())
    return torch.cat(parts)


def evaluate(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    views: EvaluateRecipe | None = None,
    *,
    classify: Callable[[Tensor], Tensor] | None = None,
) -> ImageEvaluation:
    """Compute logits, accuracy in percent and cross-entropy in nats on the test set; see `predict`."""
    return judge(predict(model, data, recipe, views, classify=classify), data)


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
    correct = Columns(data).count_correct(logits) if logits.device.type == "cpu" else count_by_row(logits, labels)
    return make_evaluation(logits, correct, float(functional.cross_entropy(logits.double(), labels)))


def judge_stacked(logits: Tensor, data: Dataset) -> list[ImageEvaluation]:
    """Compute the figures of the logits (K, N, C) of a pack.

    On CPUs cross-entropies are added up by class, eight examples at a time, where `judge` goes from example to example:
    they agree but for the last digits.
    """
    if logits.device.type != "cpu":
        return [judge(own, data) for own in logits]
    columns = Columns(data)
    return [make_evaluation(own, columns.count_correct(own), columns.average_cross_entropy()) for own in logits]


class Columns:
    """Judges logits class by class, in memory that is kept: to ask the system for as much anew costs more."""

    def __init__(self, data: Dataset) -> None:
        """Make room for the logits of a test set."""
        self.labels, self.index = data.test_labels, data.test_labels[None]
        shape = data.classes, len(data.test_labels)
        self.values, self.others = (torch.empty(shape, dtype=torch.float64) for _ in range(2))

    def count_correct(self, logits: Tensor) -> int:
        """Take logits (N, C), and count the examples whose first largest logit is that of their class."""
        top = self.values.copy_(logits.t()).amax(0)
        # Numbers, 1 for true: they are compared and added up three times as fast as truth values.
        largest = torch.eq(self.values, top, out=self.others)
        self.values.sub_(top)
        least, most = largest.sum(0).aminmax()
        if least != 1 or most != 1:  # an example has two largest logits, or one is no number
            return count_by_row(logits, self.labels)
        return int(largest.gather(0, self.index).sum())

    def average_cross_entropy(self) -> float:
        """Return the mean cross-entropy, nats, of the logits that were taken last."""
        wanted = self.values.gather(0, self.index)[0]
        return float((torch.exp(self.values, out=self.others).sum(0).log_() - wanted).mean())


def count_by_row(logits: Tensor, labels: Tensor) -> int:
    """Count the examples whose first largest logit is that of their class, whatever the logits (N, C)."""
    return int((logits.argmax(1) == labels).sum())


def make_evaluation(logits: Tensor, correct: int, cross_entropy: float) -> ImageEvaluation:
    """Return the figures of logits of which so many are correct."""
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
