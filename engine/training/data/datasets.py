"""Data sets as tensors in memory: prepared once, never touched by a loader process again.

Images stay as bytes, a quarter of the memory, and are normalised batch by batch on the device. That also keeps
the published order of things: crops reach into zeros *before* normalisation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.catalog import presets
from engine.errors import DataError
from engine.recipe import DataRecipe
from engine.training.data.digits import load_digits
from engine.training.data.mnist1d import make_examples
from engine.training.data.user_data import load_user_data
from engine.training.random.seeding import keyed_generator

SUBSET_SEED = 1
"""Which examples `train_size` keeps is part of the data, not a source: it never varies."""


Loader = Callable[[DataRecipe, Path], "Dataset"]


@dataclass(frozen=True)
class Dataset:
    """One data set, on one device."""

    train_inputs: Tensor
    """(N, C, H, W) uint8 pixels, or float32 values that are used as they are; a user's may have another shape."""
    train_labels: Tensor
    """int64 (N,), 0…classes−1."""
    test_inputs: Tensor
    test_labels: Tensor
    classes: int
    mean: tuple[float, ...] | None = None
    """Per channel, of pixels scaled to 0…1; None where the inputs are not pixels."""
    std: tuple[float, ...] | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one example."""
        return tuple(self.train_inputs.shape[1:])

    def to(self, device: torch.device) -> Dataset:
        """Return the same data on another device."""
        return replace(
            self,
            train_inputs=self.train_inputs.to(device),
            train_labels=self.train_labels.to(device),
            test_inputs=self.test_inputs.to(device),
            test_labels=self.test_labels.to(device),
        )

    def normalise(self, inputs: Tensor) -> Tensor:
        """Turn stored values into a model's inputs: bytes become (pixel/255 − mean)/std, in that order."""
        if inputs.dtype != torch.uint8:
            return inputs.contiguous()
        values = inputs.float().div_(255.0)
        if self.mean is not None and self.std is not None:
            here = values.device == self.train_inputs.device
            mean, std = self._scales if here else self._make_scales(values.device)
            shape = (1, -1, *([1] * (inputs.dim() - 2)))
            values.sub_(mean.view(shape)).div_(std.view(shape))
        return values

    def feed(self, inputs: Tensor) -> Tensor:
        """Normalise stored values for a network, in memory of its own: networks may write into what they are given."""
        if inputs.dtype == torch.uint8:
            return self.normalise(inputs)
        return inputs.clone(memory_format=torch.contiguous_format)

    @cached_property
    def _scales(self) -> tuple[Tensor, Tensor]:
        """Keep mean and SD on the data's device, which would be waited for if they were copied to it at each batch."""
        return self._make_scales(self.train_inputs.device)

    def _make_scales(self, device: torch.device) -> tuple[Tensor, Tensor]:
        assert self.mean is not None, "only pixels are scaled"
        assert self.std is not None, "only pixels are scaled"
        return torch.tensor(self.mean, device=device), torch.tensor(self.std, device=device)

    def memory_bytes(self) -> int:
        """Return the memory of all four tensors."""
        tensors = (self.train_inputs, self.train_labels, self.test_inputs, self.test_labels)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def load_data(recipe: DataRecipe, *, root: Path, search_path: tuple[Path, ...]) -> Dataset:
    """Load a recipe's data set into the CPU's memory.

    Args:
        recipe: Preset or target, and how many training examples to keep.
        root: Folder of the data files, where the preset has files; created and filled by a download if need be.
        search_path: Where a user's target is looked for.

    Raises:
        DataError: If files are missing or damaged, a target does not return what it should, or a split leaves nothing
            to train on.
    """
    if recipe.target is not None:
        dataset = _from_user(recipe.target, root, search_path)
    else:
        dataset = LOADERS[recipe.preset or ""](recipe, root)
    dataset = keep_examples(dataset, recipe.train_size)
    left_out, total = recipe.validation_size or 0, len(dataset.train_labels)
    if left_out >= total:
        raise DataError(f"{recipe.name}: validation_size = {left_out:,} leaves none of the {total:,} training examples")
    return dataset


def keep_examples(dataset: Dataset, train_size: int) -> Dataset:
    """Keep a fixed draw of the training examples, in their original order; all of them for 0."""
    total = len(dataset.train_labels)
    if train_size == 0 or train_size >= total:
        return dataset
    chosen = np.sort(keyed_generator(SUBSET_SEED, "subset").permutation(total)[:train_size])
    index = torch.from_numpy(chosen)
    return replace(dataset, train_inputs=dataset.train_inputs[index], train_labels=dataset.train_labels[index])


def _digits(recipe: DataRecipe, root: Path) -> Dataset:
    images, labels = load_digits()
    facts = presets.DATA["digits"]
    size, mean, std = facts.train_size, torch.tensor(facts.mean), torch.tensor(facts.std)
    inputs = (torch.from_numpy(images).float().unsqueeze(1) / 16 - mean) / std
    targets = torch.from_numpy(labels)
    return Dataset(inputs[:size], targets[:size], inputs[size:], targets[size:], classes=10)


def _mnist1d(recipe: DataRecipe, root: Path) -> Dataset:
    """Make the signals as images of one row, so that networks for images take them too."""
    facts = presets.DATA["mnist1d"]
    train, test = make_examples(recipe.test_size or facts.test_size)
    parts = [
        (torch.from_numpy(part.inputs).float().view(-1, *facts.shape), torch.from_numpy(part.labels))
        for part in (train, test)
    ]
    return Dataset(*parts[0], *parts[1], classes=facts.classes)


def _torchvision(name: str) -> Loader:
    def load(recipe: DataRecipe, root: Path) -> Dataset:
        # torchvision takes a second, and most workers never touch it.
        from engine.training.data.downloads import load_torchvision  # noqa: PLC0415 - imports torchvision

        train, test = (load_torchvision(name, root, train=part) for part in (True, False))
        facts = presets.DATA[name]
        return Dataset(*train, *test, classes=facts.classes, mean=facts.mean, std=facts.std)

    return load


def _synthetic(recipe: DataRecipe, root: Path) -> Dataset:
    """Draw CIFAR-shaped images: each class has one smooth random prototype, which is buried in noise."""
    facts = presets.DATA["synthetic"]
    generator = keyed_generator(SUBSET_SEED, "synthetic")
    coarse = generator.integers(64, 192, size=(facts.classes, 3, 8, 8), dtype=np.uint8)
    prototypes = coarse.repeat(4, axis=2).repeat(4, axis=3)

    def draw(examples: int) -> tuple[Tensor, Tensor]:
        labels = generator.integers(facts.classes, size=examples)
        inputs = generator.integers(0, 128, size=(examples, *facts.shape), dtype=np.uint8)
        for start in range(0, examples, 1000):  # in parts: a second copy of everything would be the peak of memory
            inputs[start : start + 1000] += prototypes[labels[start : start + 1000]] // 2
        return torch.from_numpy(inputs), torch.from_numpy(labels)

    return Dataset(
        *draw(facts.train_size), *draw(facts.test_size), classes=facts.classes, mean=facts.mean, std=facts.std
    )


LOADERS: dict[str, Loader] = {
    "digits": _digits,
    "mnist1d": _mnist1d,
    "synthetic": _synthetic,
    **{name: _torchvision(name) for name, facts in presets.DATA.items() if facts.download is not None},
}


def _from_user(target: str, root: Path, search_path: tuple[Path, ...]) -> Dataset:
    parts = load_user_data(target, root=root, search_path=search_path)
    return Dataset(
        parts.train_inputs,
        parts.train_labels,
        parts.test_inputs,
        parts.test_labels,
        classes=parts.classes,
        mean=parts.mean,
        std=parts.std,
    )
