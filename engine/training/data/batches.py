"""The minibatches of an epoch: ordered, augmented and normalised, each source by its own seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.catalog.presets import crop_padding
from engine.recipe import Recipe
from engine.training.data.augmentation import augment
from engine.training.data.datasets import Dataset
from engine.training.data.sampling import order_names
from engine.training.random.seeding import AugmentationDraws, batch_order, draw_augmentation, join_draws

BLOCK_EXAMPLES = 1024
"""Examples that are cropped and flipped together: enough to share the work, few enough to stay in the cache."""


@dataclass(frozen=True)
class Batch:
    """One minibatch on the training's device."""

    inputs: Tensor
    """float32 (B, …), normalised."""
    labels: Tensor
    examples: Tensor
    """Names of its training examples, int64 (B,): their numbers, but for copies in a sample; see `sampling`."""


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Return the number of minibatches per epoch; the last one holds what is left."""
    return -(-examples // batch_size)


def epoch_batches(recipe: Recipe, data: Dataset, epoch: int) -> Iterator[Batch]:
    """Yield the minibatches of one epoch, in training order."""
    order = example_order(recipe, len(data.train_labels), epoch)
    draws = _draws(recipe, data, epoch, copies=1 + int(order.max()) // len(data.train_labels))
    batch_size = recipe.train.batch_size
    block_size = max(1, BLOCK_EXAMPLES // batch_size) * batch_size
    for start in range(0, len(order), block_size):
        # A function of its own makes a block, so that the memory of one block is free before the next is made.
        yield from _block_batches(recipe, data, order[start : start + block_size], draws)


def _block_batches(
    recipe: Recipe, data: Dataset, names: np.ndarray, draws: AugmentationDraws | None
) -> Iterator[Batch]:
    inputs = _gather(recipe, data, names, draws)
    examples = torch.from_numpy(names).to(inputs.device)
    labels = data.train_labels.index_select(0, examples % len(data.train_labels))
    for first in range(0, len(names), recipe.train.batch_size):
        part = slice(first, first + recipe.train.batch_size)
        yield Batch(data.normalise(inputs[part]), labels[part], examples[part])


def example_order(recipe: Recipe, examples: int, epoch: int) -> np.ndarray:
    """Return the names of the training examples in the order in which they are trained, int64 (n,).

    `shuffle` decides which examples share a minibatch; `lowlevel`, where it is an order, permutes them inside it.
    """
    order = order_names(recipe, examples, epoch)
    seed = recipe.seeds.lowlevel
    if recipe.lowlevel != "order" or seed is None:
        return order
    batch_size = recipe.train.batch_size
    parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return np.concatenate([part[batch_order(seed, epoch, step, len(part))] for step, part in enumerate(parts)])


def _draws(recipe: Recipe, data: Dataset, epoch: int, *, copies: int) -> AugmentationDraws | None:
    """Draw the crop and flip of every example, and of each of its copies; None where nothing is augmented."""
    seed = recipe.seeds.augment
    if seed is None or recipe.data.augment == "none":
        return None
    pad, total = crop_padding(data.input_shape[-1]), len(data.train_labels)
    return join_draws([draw_augmentation(seed, epoch, total, pad, copy) for copy in range(copies)])


def _gather(recipe: Recipe, data: Dataset, names: np.ndarray, draws: AugmentationDraws | None) -> Tensor:
    examples = names % len(data.train_labels)
    if draws is None:
        return data.train_inputs.index_select(0, torch.from_numpy(examples).to(data.train_inputs.device))
    pad = crop_padding(data.input_shape[-1])
    return augment(data.train_inputs, examples, draws.at(names), pad=pad, mode=recipe.data.augment)
