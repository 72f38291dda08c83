"""Recipes on small data, and the data itself loaded once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from engine.recipe import BitChange, DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.study.epochs import EpochRecord
from engine.training.checkpoint import Checkpoint, CheckpointPolicy
from engine.training.data.datasets import Dataset, load_data
from engine.training.loop import Outcome, train_runs
from engine.training.stopping import StopRequest, never

BASE = Recipe(
    data=DataRecipe(preset="digits", train_size=90, augment="crop-flip"),
    model=ModelRecipe(preset="resnet6", width=0.25),
    train=TrainRecipe(epochs=2, batch_size=40, lr=0.5, warmup_epochs=1),
    seeds=Seeds(init=1, shuffle=1, augment=1, lowlevel=1),
    lowlevel="order",
    device="cpu",
)


@cache
def load_cached(recipe: DataRecipe) -> Dataset:
    return load_data(recipe, root=Path("/nonexistent"), search_path=())


@pytest.fixture
def base() -> Recipe:
    return BASE


@pytest.fixture
def data() -> Dataset:
    return load_cached(BASE.data)


@pytest.fixture
def train() -> Callable[..., Outcome]:
    def run(
        recipe: Recipe,
        *,
        on_epoch: Callable[[EpochRecord], None] = lambda record: None,
        start: Checkpoint | None = None,
        checkpoints: CheckpointPolicy | None = None,
        fork: CheckpointPolicy | None = None,
        sketches: int = 0,
        should_stop: StopRequest = never,
    ) -> Outcome:
        return train_runs(
            [recipe],
            load_cached(recipe.data),
            device=torch.device(recipe.device),
            on_epoch=lambda _, record: on_epoch(record),
            starts=[] if start is None else [start],
            checkpoints=[] if checkpoints is None else [checkpoints],
            forks=[fork],
            sketches=sketches,
            should_stop=should_stop,
        )[0]

    return run


@pytest.fixture
def vary() -> Callable[..., Recipe]:
    """The base recipe with one source at another seed."""

    def change(source: str, seed: int = 2) -> Recipe:
        if source == "bit":
            return replace(BASE, bit=BitChange(seed=seed))
        return replace(BASE, seeds=replace(BASE.seeds, **{source: seed}))

    return change
