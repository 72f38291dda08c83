"""The minibatches of an epoch: ordered, augmented and normalised, each source by its own seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.catalog.presets import crop_padding
from engine.recipe import Recipe
from engine.training.data.augmentation import augment, crop_and_flip
from engine.training.data.datasets import Dataset
from engine.training.data.sampling import order_names
from engine.training.random.seeding import AugmentationDraws, draw_augmentation, join_draws, shuffle_batches

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


def epoch_batches(recipe: Recipe, data: Dataset, epoch: int, *, at_once: int = 1) -> Iterator[Batch]:
    """Yield the minibatches of one epoch, in training order; on a CPU several of them at once, the last ones fewer."""
    if data.train_labels.device.type == "cuda":
        table = send_epoch(recipe, data, epoch)
        return (take_batch(recipe, data, table.columns_of(step)) for step in range(table.steps))
    return _make_batches(recipe, data, epoch, at_once)


def stack_batches(recipes: Sequence[Recipe], data: Dataset, epoch: int) -> Iterator[Batch]:
    """Yield the minibatches of one epoch of several replicas, each with an order of its own: (K, B, …) and (K, B)."""
    first = recipes[0]
    if data.train_labels.device.type == "cuda" or first.data.augment != "none":
        for batches in zip(*[epoch_batches(recipe, data, epoch) for recipe in recipes], strict=True):
            inputs, labels, examples = zip(*[(b.inputs, b.labels, b.examples) for b in batches], strict=True)
            yield Batch(torch.stack(inputs), torch.stack(labels), torch.stack(examples))
        return
    # One look-up for all replicas at once: a fifth of the time of one for each, and of stacking what is found.
    total, replicas = len(data.train_labels), len(recipes)
    names = torch.from_numpy(np.stack([example_order(recipe, total, epoch) for recipe in recipes]))
    for part in names.split(first.train.batch_size, dim=1):
        examples = part.reshape(-1)
        places = find_examples(first, examples, total)
        inputs = data.normalise(data.train_inputs.index_select(0, places))
        labels = data.train_labels.index_select(0, places).view(replicas, -1)
        yield Batch(inputs.unflatten(0, (replicas, -1)), labels, examples.view(replicas, -1))


def _make_batches(recipe: Recipe, data: Dataset, epoch: int, at_once: int) -> Iterator[Batch]:
    """Yield the same from the CPU's memory, cropping and flipping many examples together."""
    order = example_order(recipe, len(data.train_labels), epoch)
    draws = _draws(recipe, data, epoch, copies=count_copies(order, len(data.train_labels)))
    size = at_once * recipe.train.batch_size
    block_size = max(1, BLOCK_EXAMPLES // size) * size
    for start in range(0, len(order), block_size):
        # A function of its own makes a block, so that the memory of one block is free before the next is made.
        yield from _block_batches(recipe, data, order[start : start + block_size], draws, size)


def _block_batches(
    recipe: Recipe, data: Dataset, names: np.ndarray, draws: AugmentationDraws | None, size: int
) -> Iterator[Batch]:
    given = torch.from_numpy(names).to(data.train_inputs.device)
    examples = find_examples(recipe, given, len(data.train_labels))
    inputs = _gather(recipe, data, examples, None if draws is None else draws.at(names))
    labels = data.train_labels.index_select(0, examples)
    parts = (tensor.split(size) for tensor in (inputs, labels, given))
    for own_inputs, own_labels, own_examples in zip(*parts, strict=True):
        yield Batch(data.normalise(own_inputs), own_labels, own_examples)


@dataclass(frozen=True)
class EpochTable:
    """All that a device has to know of an epoch beforehand, so that nothing is copied to it between the steps."""

    columns: Tensor
    """Of each example in training order: its name, and where it is moved, the moves of its crop and whether it is
    flipped, int64 (1 or 4, n)."""
    keys: Tensor
    """Of each step: what the network's random numbers are a function of, int64 (steps, keys)."""
    batch_size: int

    @property
    def steps(self) -> int:
        """Return the number of minibatches."""
        return steps_per_epoch(self.columns.shape[1], self.batch_size)

    def columns_of(self, step: int) -> Tensor:
        """Return what is known of a minibatch's examples, int64 (1 or 4, B)."""
        return self.columns[:, step * self.batch_size : (step + 1) * self.batch_size]


def send_epoch(recipe: Recipe, data: Dataset, epoch: int, keys: np.ndarray | None = None) -> EpochTable:
    """Draw an epoch's order, crops and flips, and copy them to the data's device, together with keys.

    Args:
        recipe: The run's.
        data: Its data set, on the device.
        epoch: The epoch.
        keys: Of each step, int64 (steps, keys); none where not given.
    """
    names = example_order(recipe, len(data.train_labels), epoch)
    moves = _draws(recipe, data, epoch, copies=count_copies(names, len(data.train_labels)))
    rows = [names] if moves is None else [names, *_list_moves(recipe, data, moves.at(names))]
    steps = steps_per_epoch(len(names), recipe.train.batch_size)
    keys = np.empty((steps, 0), dtype=np.int64) if keys is None else keys
    sent = send(np.concatenate([*rows, keys.reshape(-1)]), data.train_labels.device)
    end = len(rows) * len(names)
    return EpochTable(sent[:end].view(len(rows), -1), sent[end:].view(keys.shape), recipe.train.batch_size)


def _list_moves(recipe: Recipe, data: Dataset, draws: AugmentationDraws) -> list[np.ndarray]:
    """Return rows, columns and flips as `crop_and_flip` wants them."""
    mode, still = recipe.data.augment, np.full(len(draws.top), crop_padding(data.input_shape[-1]))
    top, left = (draws.top, draws.left) if "crop" in mode else (still, still)
    return [top, left, draws.flip.astype(np.int64) if "flip" in mode else np.zeros_like(still)]


def send(numbers: np.ndarray, device: torch.device) -> Tensor:
    """Copy numbers to a device; to a GPU from memory from which it fetches them by itself, so that nobody waits."""
    tensor = torch.from_numpy(numbers)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def take_batch(recipe: Recipe, data: Dataset, columns: Tensor) -> Batch:
    """Gather a minibatch on its device; see `EpochTable.columns_of`."""
    names, moves = columns[0], columns[1:]
    examples = find_examples(recipe, names, len(data.train_labels))
    if len(moves) == 0:
        inputs = data.train_inputs.index_select(0, examples)
    else:
        inputs = crop_and_flip(data.train_inputs, examples, moves, pad=crop_padding(data.input_shape[-1]))
    return Batch(data.normalise(inputs), data.train_labels.index_select(0, examples), names)


def example_order(recipe: Recipe, examples: int, epoch: int) -> np.ndarray:
    """Return the names of the training examples in the order in which they are trained, int64 (n,).

    `shuffle` decides which examples share a minibatch; `lowlevel`, where it is an order, permutes them inside it.
    """
    order = order_names(recipe, examples, epoch)
    if recipe.lowlevel == "order" and recipe.seeds.lowlevel is not None:
        shuffle_batches(order, recipe.train.batch_size, recipe.seeds.lowlevel, epoch)
    return order


def count_copies(names: np.ndarray, examples: int) -> int:
    """Return how many copies of the training examples are named; see `sampling`."""
    return 1 + int(names.max()) // examples


def find_examples(recipe: Recipe, names: Tensor, examples: int) -> Tensor:
    """Return the numbers of named examples, which are their names where there are no copies: no kernel divides them."""
    return names % examples if recipe.data.sample == "bootstrap" else names


def _draws(recipe: Recipe, data: Dataset, epoch: int, *, copies: int) -> AugmentationDraws | None:
    """Draw the crop and flip of every example, and of each of its copies; None where nothing is augmented."""
    seed = recipe.seeds.augment
    if seed is None or recipe.data.augment == "none":
        return None
    pad, total = crop_padding(data.input_shape[-1]), len(data.train_labels)
    return join_draws([draw_augmentation(seed, epoch, total, pad, copy) for copy in range(copies)])


def _gather(recipe: Recipe, data: Dataset, examples: Tensor, draws: AugmentationDraws | None) -> Tensor:
    if draws is None:
        return data.train_inputs.index_select(0, examples)
    pad = crop_padding(data.input_shape[-1])
    return augment(data.train_inputs, examples.cpu().numpy(), draws, pad=pad, mode=recipe.data.augment)
