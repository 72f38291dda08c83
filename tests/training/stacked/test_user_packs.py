"""Packs of networks that are not the project's own: masks, what cannot be stacked, layouts and compilation."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.recipe import DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.datasets import Dataset
from engine.training.loop import Outcome, train_runs
from engine.training.tasks.preparation import prepare_pack
from engine.training.trials.pack_validity import find_stacking_fault
from engine.training.trials.workbench import Workbench

CPU = torch.device("cpu")

MODULE = """
import functools
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, *extra):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.drop2 = nn.Dropout2d(0.3)
        self.fc = nn.Linear(6 * 64, 24)
        self.drop = nn.Dropout(0.4)
        self.out = nn.Linear(24, classes)
        self.frozen = nn.Parameter(torch.ones(classes), requires_grad=False)

    def forward(self, x):
        x = self.drop2(torch.relu(self.bn(self.conv(x))))
        return self.out(self.drop(torch.relu(self.fc(x.flatten(1))))) * self.frozen

def dropping(input_shape, classes):
    return Net(classes)

class Tied(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.a = nn.Linear(64, 64)
        self.b = nn.Linear(64, 64)
        self.b.weight = self.a.weight
        self.out = nn.Linear(64, classes)

    def forward(self, x):
        rows = x.flatten(2)
        return self.out(torch.tanh(self.b(torch.tanh(self.a(rows)))).mean(1))

def tied(input_shape, classes):
    return Tied(classes)

class Permuted(Net):
    def __init__(self, classes):
        super().__init__(classes)
        self.order = torch.randperm(24)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x)))
        return self.out(torch.relu(self.fc(x.flatten(1)))[:, self.order])

def permuted(input_shape, classes):
    return Permuted(classes)

class Branching(Net):
    def forward(self, x):
        x = super().forward(x)
        return x if x.sum() > 0 else -x

def branching(input_shape, classes):
    return Branching(classes)

class Drawing(Net):
    def forward(self, x):
        return super().forward(x) + (torch.rand(1) if self.training else 0.0)

def drawing(input_shape, classes):
    return Drawing(classes)

@functools.cache
def cached(input_shape, classes):
    return Net(classes)

CALLS = []
def counting(input_shape, classes):
    CALLS.append(1)
    net = Net(classes)
    with torch.no_grad():
        net.out.bias += len(CALLS)
    return net

def growing(input_shape, classes):
    hidden = int(torch.randint(5, 50, ()))
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, classes))
"""


@pytest.fixture
def path(tmp_path: Path) -> tuple[Path, ...]:
    (tmp_path / "packnets.py").write_text(MODULE)
    return (tmp_path,)


@pytest.fixture
def data() -> Dataset:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 4, (84,), generator=generator)
    inputs = torch.randn(84, 1, 8, 8, generator=generator) + labels.view(-1, 1, 1, 1) * 0.3
    return Dataset(inputs[:60], labels[:60], inputs[60:], labels[60:], classes=4)


def make_recipe(name: str, *, shared: bool = True, size: int = 3, **pack: Any) -> Recipe:
    return Recipe(
        data=DataRecipe(preset="synthetic"),
        model=ModelRecipe(target=f"packnets:{name}"),
        train=TrainRecipe(epochs=2, batch_size=12, lr=0.05, warmup_epochs=1.0),
        seeds=Seeds(init=1, shuffle=1, stochastic=1, lowlevel=1),
        lowlevel="order",
        device="cpu",
        pack=PackRecipe(size=size, shared_batch=shared, **pack),
    )


def vary(recipe: Recipe, *sources: str, count: int = 3) -> list[Recipe]:
    return [replace(recipe, seeds=replace(recipe.seeds, **dict.fromkeys(sources, k))) for k in range(1, count + 1)]


def assert_close(outcomes: list[Outcome], recipes: list[Recipe], data: Dataset, path: tuple[Path, ...]) -> None:
    for outcome, recipe in zip(outcomes, recipes, strict=True):
        single = train_runs([replace(recipe, pack=None)], data, device=CPU, search_path=path)[0]
        assert set(outcome.state) == set(single.state)
        one, other = torch.from_numpy(outcome.predictions), torch.from_numpy(single.predictions)
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "shared", "sources"),
    [
        ("dropping", True, ("init",)),
        ("dropping", False, ("stochastic",)),
        ("dropping", False, ("init", "shuffle", "stochastic", "lowlevel")),
        ("tied", True, ("init",)),
        ("tied", False, ("shuffle",)),
    ],
)
def test_users_networks_keep_masks_and_orders_of_their_own(
    name: str, shared: bool, sources: tuple[str, ...], data: Dataset, path: tuple[Path, ...]
) -> None:
    recipe = make_recipe(name, shared=shared)
    assert find_stacking_fault(recipe, Workbench(data, CPU, path)) is None
    recipes = vary(recipe, *sources)
    outcomes = train_runs(recipes, data, device=CPU, search_path=path)
    assert_close(outcomes, recipes, data, path)
    assert len({outcome.predictions.tobytes() for outcome in outcomes}) == 3


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("permuted", "more than parameters and buffers"),
        ("branching", "data-dependent control flow"),
        ("drawing", "RuntimeError"),
        ("growing", "RuntimeError"),
        ("cached", "the same parameters to several replicas"),
        ("counting", "other weights when it is called again"),
    ],
)
def test_what_cannot_be_stacked_is_found_out(name: str, reason: str, data: Dataset, path: tuple[Path, ...]) -> None:
    fault = find_stacking_fault(make_recipe(name), Workbench(data, CPU, path))
    assert fault is not None
    assert reason in fault


@pytest.mark.slow
def test_model_of_torchvision_is_stacked() -> None:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 4, (18,), generator=generator)
    inputs = torch.randn(18, 3, 32, 32, generator=generator)
    data = Dataset(inputs[:12], labels[:12], inputs[12:], labels[12:], classes=4)
    recipe = replace(make_recipe("x", size=2), model=ModelRecipe(preset="torchvision:mobilenet_v3_small"))
    recipe = replace(recipe, train=replace(recipe.train, epochs=1, batch_size=6))
    assert find_stacking_fault(recipe, Workbench(data, CPU)) is None
    recipes = vary(recipe, "init", count=2)
    outcomes = train_runs(recipes, data, device=CPU)
    assert_close(outcomes, recipes, data, ())


@pytest.mark.parametrize("shared", [True, False])
def test_channels_last_is_the_same_mathematics(shared: bool, data: Dataset, path: tuple[Path, ...]) -> None:
    recipe = make_recipe("dropping", shared=shared, channels_last=True)
    recipes = vary(recipe, "init" if shared else "shuffle")
    task = prepare_pack(recipes, data, device=CPU, search_path=path)
    weight = task.pack.stacked["conv.weight"]
    assert weight.shape == (3, 6, 1, 3, 3)
    assert weight.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert_close(train_runs(recipes, data, device=CPU, search_path=path), recipes, data, path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, from within the compiler
@pytest.mark.parametrize("shared", [True, False])
def test_compiled_packs_are_the_same_mathematics(shared: bool, data: Dataset, path: tuple[Path, ...]) -> None:
    recipe = make_recipe("dropping", shared=shared, compiled=True)
    recipes = vary(recipe, "init" if shared else "stochastic")
    assert_close(train_runs(recipes, data, device=CPU, search_path=path), recipes, data, path)
