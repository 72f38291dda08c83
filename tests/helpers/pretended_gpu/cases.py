"""Small data and recipes for the checks on a pretended GPU, and what they compare."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from engine.recipe import DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.datasets import Dataset
from engine.training.loop import Outcome
from engine.training.weights import weights_bytes

Checks = Mapping[str, Callable[[], None]]
"""By name; a check raises where something is wrong."""


def make_images(examples: int = 19, size: int = 32) -> Dataset:
    """Bytes, so that crops and normalisation are in it; the last minibatch is smaller."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (examples + 8, 3, size, size), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (examples + 8,), generator=generator)
    return Dataset(inputs[8:], labels[8:], inputs[:8], labels[:8], classes=10, mean=(0.5,) * 3, std=(0.25,) * 3)


def make_recipe(preset: str, *, epochs: int = 2, **train: Any) -> Recipe:
    """Of a preset on `make_images`, on CUDA."""
    return Recipe(
        data=DataRecipe(preset="synthetic", augment="crop-flip"),
        model=ModelRecipe(preset=preset, width=0.25 if preset.startswith("resnet") else 1.0),
        train=TrainRecipe(epochs=epochs, batch_size=4, warmup_epochs=1.0, lr=0.1, **train),
        seeds=Seeds(init=1, shuffle=1, augment=1),
        lowlevel="deterministic",
        device="cuda",
    )


def make_replicas(recipe: Recipe, *, shared: bool, channels_last: bool = False) -> list[Recipe]:
    """Two recipes of one pack, whose weights differ, and where they do not share batches the order, too."""
    packed = replace(recipe, pack=PackRecipe(size=2, shared_batch=shared, channels_last=channels_last))
    return [replace(packed, seeds=replace(packed.seeds, init=seed, shuffle=1 if shared else seed)) for seed in (1, 2)]


def digest(outcomes: list[Outcome]) -> list[str]:
    """Of each run's weights and predictions."""
    return [hashlib.sha256(weights_bytes(o.state) + o.predictions.tobytes()).hexdigest() for o in outcomes]


@contextlib.contextmanager
def hear_refusals() -> Iterator[list[str]]:
    """Collect what is logged of steps that cannot be recorded."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log = logging.getLogger("engine.training.recording.repeater")
    log.addHandler(handler)
    try:
        yield lines
    finally:
        log.removeHandler(handler)
