"""The test before a study: networks in which sources leak into each other are found out, with the cause."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.recipe import KEYED_DRAWS, ModelRecipe, Recipe
from engine.training.data.datasets import Dataset
from engine.training.trials.source_isolation import find_leak
from engine.training.trials.workbench import Workbench
from tests.helpers.random_layers import CPU, LAYERS, make_data, make_recipe, make_single

MODULE = """
import random
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, disturb, classes):
        super().__init__()
        self.first, self.last, self.disturb = nn.Linear(64, 8), nn.Linear(8, classes), disturb

    def forward(self, x):
        x = torch.tanh(self.first(x.flatten(1)))
        return self.last(self.disturb(x) if self.training else x)

def by_numpy(x):
    return x * torch.from_numpy(np.random.rand(*x.shape))

def by_python(x):
    return x * random.random()

def by_own_generator(x):
    return x * torch.rand(x.shape, generator=torch.Generator().manual_seed(1))

def by_entropy(x):
    return x * torch.from_numpy(np.random.default_rng().random(x.shape))

def by_place(x):
    return x + x[:1]

def by_data(x):
    return torch.stack([torch.nn.functional.dropout(row) if row[0] > 0 else row for row in x])

def in_single_precision(x):
    return (x.float() @ torch.ones(8, 8, dtype=torch.float32)) @ torch.ones(8, 8)

def for_the_batch(x):
    return x * torch.rand(2 * len(x) - 1)[: len(x), None]

def draws_nothing(x):
    return x

def by_torch(x):
    return torch.nn.functional.dropout(x)

class Uncopied(Net):
    def __init__(self, disturb, classes):
        super().__init__(disturb, classes)
        self.computed = torch.ones(2, requires_grad=True) * 2  # no leaf, which deepcopy refuses

def uncopied(input_shape, classes, disturb):
    return Uncopied(globals()[disturb], classes)

def build(input_shape, classes, disturb):
    return Net(globals()[disturb], classes)
"""


@pytest.fixture
def bench(tmp_path: Path, data: Dataset) -> Workbench:
    (tmp_path / "leakynets.py").write_text(MODULE)
    return Workbench(data, CPU, (tmp_path,))


def make(base: Recipe, disturb: str) -> Recipe:
    model = ModelRecipe(target="leakynets:build", args=(("disturb", disturb),), draws=KEYED_DRAWS)
    return replace(base, model=model, seeds=replace(base.seeds, stochastic=1))


@pytest.mark.parametrize(
    ("disturb", "reason", "everywhere"),
    [
        ("by_numpy", "numpy's global generator", True),
        ("by_python", "Python's global generator", True),
        ("by_entropy", "no seed reaches", True),
        ("by_data", "in other company", True),
        ("in_single_precision", "could not be tested in float64: RuntimeError", True),
        ("by_own_generator", "draws with rand by place in the batch: another order", False),
        ("for_the_batch", r"draws rand of shape \(39,\) for a batch as a whole", False),
        ("by_place", "treats an example by its place in the batch", False),
    ],
)
def test_leak_is_found_with_its_cause(
    disturb: str, reason: str, everywhere: bool, base: Recipe, bench: Workbench
) -> None:
    before = torch.get_rng_state()
    leak = find_leak(make(base, disturb), bench)
    assert leak is not None
    assert leak.everywhere is everywhere
    assert leak.reason.startswith("its network ")
    assert re.search(reason, leak.reason)
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 40, 90])
def test_network_without_a_leak_has_none(batch_size: int, base: Recipe, bench: Workbench) -> None:
    recipe = replace(make(base, "draws_nothing"), train=replace(base.train, batch_size=batch_size))
    assert find_leak(recipe, bench) is None


def test_network_that_cannot_be_copied_is_built_anew(base: Recipe, bench: Workbench) -> None:
    for disturb, isolated in (("by_torch", True), ("by_place", False)):
        recipe = make(base, disturb)
        recipe = replace(recipe, model=replace(recipe.model, target="leakynets:uncopied"))
        with pytest.raises(RuntimeError, match="deepcopy"):
            copy.deepcopy(bench.prepare_single(recipe).model)
        assert (find_leak(recipe, bench) is None) is isolated


def test_projects_own_networks_are_not_tested(base: Recipe) -> None:
    nothing = Dataset(*[torch.zeros(0)] * 4, classes=0)
    assert find_leak(base, Workbench(nothing, CPU)) is None


@pytest.mark.parametrize("name", LAYERS)
def test_random_layers_of_torch_are_isolated(name: str) -> None:
    assert find_leak(make_recipe(name), Workbench(make_single(make_data()), CPU)) is None
