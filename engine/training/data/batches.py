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
from engine.training.random.seeding import AugmentationDraws, batch_order, draw_augmentation, epoch_order

BLOCK_EXAMPLES = 1024
"""Examples that are cropped and flipped together: enough to share the work, few enough to stay in the cache."""


@dataclass(frozen=True)
class Batch:
    """One minibatch on the training's device."""

    inputs: Tensor
    """float32 (B, …), normalised."""
    labels: Tensor
    examples: Tensor
    """Ids of its training examples, int64 (B,)."""


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Return the number of minibatches per epoch; the last one holds what is left."""
    return -(-examples // batch_size)


def epoch_batches(recipe: Recipe, data: Dataset, epoch: int) -> Iterator[Batch]:
    """Yield the minibatches of one epoch, in training order."""
    order = example_order(recipe, len(data.train_labels), epoch)
    draws = _draws(recipe, data, epoch)
    batch_size = recipe.train.batch_size
    block_size = max(1, BLOCK_EXAMPLES // batch_size) * batch_size
    for start in range(0, len(order), block_size):
        # A function of its own makes a block, so that the memory of one block is free before the next is made.
        yield from _block_batches(recipe, data, order[start : start + block_size], draws)


def _block_batches(
    recipe: Recipe, data: Dataset, examples: np.ndarray, draws: AugmentationDraws | None
) -> Iterator[Batch]:
    inputs = _gather(recipe, data, examples, draws)
    ids = torch.from_numpy(examples).to(inputs.device)
    labels = data.train_labels.index_select(0, ids)
    for first in range(0, len(examples), recipe.train.batch_size):
        part = slice(first, first + recipe.train.batch_size)
        yield Batch(data.normalise(inputs[part]), labels[part], ids[part])


def example_order(recipe: Recipe, examples: int, epoch: int) -> np.ndarray:
    """Return the ids of the training examples in the order in which they are trained, int64 (N,).

    `shuffle` decides which examples share a minibatch; `lowlevel`, where it is an order, permutes them inside it.
    """
    order = epoch_order(recipe.seeds.shuffle, epoch, examples)
    seed = recipe.seeds.lowlevel
    if recipe.lowlevel != "order" or seed is None:
        return order
    batch_size = recipe.train.batch_size
    parts = [order[start : start + batch_size] for start in range(0, examples, batch_size)]
    return np.concatenate([part[batch_order(seed, epoch, step, len(part))] for step, part in enumerate(parts)])


def _draws(recipe: Recipe, data: Dataset, epoch: int) -> AugmentationDraws | None:
    seed = recipe.seeds.augment
    if seed is None or recipe.data.augment == "none":
        return None
    return draw_augmentation(seed, epoch, len(data.train_labels), crop_padding(data.input_shape[-1]))


def _gather(recipe: Recipe, data: Dataset, examples: np.ndarray, draws: AugmentationDraws | None) -> Tensor:
    if draws is None:
        return data.train_inputs.index_select(0, torch.from_numpy(examples).to(data.train_inputs.device))
    pad = crop_padding(data.input_shape[-1])
    return augment(data.train_inputs, examples, draws, pad=pad, mode=recipe.data.augment)
