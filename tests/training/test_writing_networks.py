"""A network that writes into what it is given, as `x.sub_(0.5)` does, changes no kept example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.recipe import ModelRecipe, PackRecipe, Recipe
from engine.training.data.datasets import Dataset
from engine.training.loop import Outcome, train_runs

CPU = torch.device("cpu")

NETWORK = """
from torch import nn


class Doubled(nn.Module):
    def __init__(self, classes, in_place):
        super().__init__()
        self.in_place, self.layer = in_place, nn.Linear(64, classes)

    def forward(self, inputs):
        inputs = inputs.mul_(2.0) if self.in_place else inputs * 2.0
        return self.layer(inputs.flatten(1))


def build(input_shape, classes, in_place):
    return Doubled(classes, in_place)
"""


@pytest.fixture
def search_path(tmp_path: Path) -> tuple[Path, ...]:
    (tmp_path / "writingnets.py").write_text(NETWORK)
    return (tmp_path,)


def make_recipe(base: Recipe, *, in_place: bool, pack: PackRecipe | None = None) -> Recipe:
    model = ModelRecipe(target="writingnets:build", args=(("in_place", in_place),))
    train = replace(base.train, epochs=3)
    return replace(base, data=replace(base.data, augment="none"), model=model, train=train, pack=pack)


@pytest.mark.parametrize("packed", [False, True])
def test_training_is_that_of_a_network_that_copies(
    base: Recipe, data: Dataset, search_path: tuple[Path, ...], packed: bool
) -> None:
    kept = data.test_inputs.clone(), data.train_inputs.clone()

    def train(in_place: bool) -> tuple[Sequence[Outcome], list[float]]:
        pack = PackRecipe(size=2, shared_batch=True) if packed else None
        recipe = make_recipe(base, in_place=in_place, pack=pack)
        other = replace(recipe, seeds=replace(recipe.seeds, init=2))
        losses: list[float] = []
        outcomes = train_runs(
            [recipe, other] if packed else [recipe],
            data,
            device=CPU,
            search_path=search_path,
            on_epoch=lambda _, record: losses.append(record.test_cross_entropy or 0.0),
        )
        return outcomes, losses

    (writing, written), (copying, copied) = train(True), train(False)
    assert written == copied
    for one, other in zip(writing, copying, strict=True):
        assert np.array_equal(one.predictions, other.predictions)
    assert torch.equal(data.test_inputs, kept[0])
    assert torch.equal(data.train_inputs, kept[1])
