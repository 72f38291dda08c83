"""Isolation: what each source changes, and that it changes nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.catalog.sources import SOURCES
from engine.recipe import BitChange, ModelRecipe, Recipe
from engine.training.data.batches import epoch_batches, example_order
from engine.training.data.datasets import Dataset
from engine.training.loop import Outcome
from engine.training.random.seeding import PURPOSES, draw_augmentation, epoch_order, keyed_generator, set_kernels
from engine.training.tasks.images import prepare

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, pixels, classes):
        super().__init__()
        self.fc1, self.drop, self.fc2 = nn.Linear(pixels, 16), nn.Dropout(0.5), nn.Linear(16, classes)
    def forward(self, x):
        return self.fc2(self.drop(torch.relu(self.fc1(x.flatten(1)))))

def build(*, input_shape, classes):
    return Net(input_shape[0] * input_shape[1] * input_shape[2], classes)
"""

FACTS = ("weights", "order", "minibatches", "augmentation", "masks", "rounding")

EXPECTED = {
    # source: facts that differ between seed 1 and seed 2
    "init": {"weights"},
    "shuffle": {"order", "minibatches"},
    "augment": {"augmentation"},
    "stochastic": {"masks"},
    "lowlevel": {"order", "rounding"},
    "bit": {"weights"},
}


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "dropnet.py").write_text(MODULE)
    return tmp_path


def digest(*tensors: torch.Tensor) -> str:
    return hashlib.sha256(b"".join(tensor.detach().contiguous().numpy().tobytes() for tensor in tensors)).hexdigest()


def facts(recipe: Recipe, data: Dataset, module: Path) -> dict[str, str]:
    """Everything random about the second epoch's first batches, each fact indexed so that only its source moves it."""
    set_kernels(recipe.lowlevel, recipe.train.precision)
    training = prepare(recipe, data, device=torch.device("cpu"), search_path=(module,))
    model, masks = training.model, training.network.masks
    weights = digest(*model.parameters())
    batches = list(epoch_batches(recipe, data, 2))
    order = torch.cat([batch.examples for batch in batches])
    members = torch.cat([batch.examples.sort().values for batch in batches])
    by_example = torch.empty_like(torch.cat([batch.inputs for batch in batches]))
    by_example[order] = torch.cat([batch.inputs for batch in batches])
    training.key_masks(2)
    dropped = torch.empty(len(order), 16)
    for batch in batches:
        masks.examples = batch.examples
        dropped[batch.examples] = (model.get_submodule("drop")(torch.ones(len(batch.examples), 16)) > 0).float()
    reference = nn.Linear(64, 10)
    nn.init.constant_(reference.bias, 0.0)
    nn.init.orthogonal_(reference.weight, generator=torch.Generator().manual_seed(0))
    plain = data.train_inputs[batches[0].examples].flatten(1)
    functional.cross_entropy(reference(plain), batches[0].labels).backward()
    assert reference.weight.grad is not None
    return {
        "weights": weights,
        "order": digest(order),
        "minibatches": digest(members),
        "augmentation": digest(by_example),
        "masks": digest(dropped),
        "rounding": digest(reference.weight.grad),
    }


@pytest.fixture
def dropping(base: Recipe) -> Recipe:
    model = ModelRecipe(target="dropnet:build")
    return replace(base, model=model, seeds=replace(base.seeds, stochastic=1))


@pytest.mark.parametrize("source", SOURCES)
def test_source_changes_its_own_and_nothing_else(source: str, dropping: Recipe, data: Dataset, module: Path) -> None:
    if source == "bit":
        other = replace(dropping, bit=BitChange(seed=2))
    else:
        other = replace(dropping, seeds=replace(dropping.seeds, **{source: 2}))
    one, two = facts(dropping, data, module), facts(other, data, module)
    differing = {fact for fact in FACTS if one[fact] != two[fact]}
    if source == "shuffle":
        differing -= {"rounding"}  # other examples in the batch have other gradients altogether
    assert differing == EXPECTED[source]
    assert SOURCES[source].own_batches == bool(differing - {"weights"}), "stacked replicas share all but their weights"
    assert facts(dropping, data, module) == one, "the same seeds give the same facts"


def test_shuffle_moves_whole_examples_with_their_augmentation(
    base: Recipe, vary: Callable[..., Recipe], data: Dataset
) -> None:
    def by_example(recipe: Recipe) -> torch.Tensor:
        batches = list(epoch_batches(recipe, data, 1))
        inputs = torch.empty(len(data.train_labels), *data.input_shape)
        inputs[torch.cat([b.examples for b in batches])] = torch.cat([b.inputs for b in batches])
        return inputs

    assert torch.equal(by_example(base), by_example(vary("shuffle")))
    assert not torch.equal(by_example(base), by_example(vary("augment")))


def test_order_mode_permutes_inside_minibatches_only(base: Recipe, vary: Callable[..., Recipe]) -> None:
    one, two = example_order(base, 90, 1), example_order(vary("lowlevel"), 90, 1)
    assert not np.array_equal(one, two)
    for start in range(0, 90, base.train.batch_size):
        part = slice(start, start + base.train.batch_size)
        assert sorted(one[part]) == sorted(two[part])
    assert sorted(one) == list(range(90))


def test_order_mode_changes_gradients_by_rounding_alone(
    base: Recipe, vary: Callable[..., Recipe], data: Dataset
) -> None:
    def gradients(recipe: Recipe, kind: torch.dtype) -> torch.Tensor:
        training = prepare(recipe, data, device=torch.device("cpu"), search_path=())
        model = training.model.to(kind)
        batch = next(epoch_batches(recipe, data, 1))
        functional.cross_entropy(model(batch.inputs.to(kind)), batch.labels).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    single, double = ([gradients(r, kind) for r in (base, vary("lowlevel"))] for kind in (torch.float32, torch.float64))
    assert not torch.equal(*single)
    assert torch.allclose(*single, rtol=1e-3, atol=1e-6)
    assert torch.allclose(*double, rtol=1e-9, atol=1e-14)


def test_every_purpose_has_its_own_draws() -> None:
    draws = {purpose: tuple(keyed_generator(1, purpose, 1).integers(2**32, size=4)) for purpose in PURPOSES}
    assert len(set(draws.values())) == len(PURPOSES)


def test_draws_are_what_they_were() -> None:
    """Studies are continued after an upgrade: another draw would need another RECIPE_VERSION."""
    assert epoch_order(1, 1, 6).tolist() == [2, 1, 5, 3, 0, 4]
    draws = draw_augmentation(1, 1, 4, 4)
    assert (draws.top.tolist(), draws.left.tolist(), draws.flip.tolist()) == (
        [4, 6, 1, 3],
        [6, 7, 0, 4],
        [True, False, True, True],
    )


@pytest.mark.parametrize("source", ["init", "shuffle", "augment", "lowlevel", "bit"])
def test_every_source_changes_the_trained_network(
    source: str, base: Recipe, vary: Callable[..., Recipe], train: Callable[..., Outcome]
) -> None:
    longer = replace(base.train, epochs=4)
    one, two = (train(replace(recipe, train=longer)) for recipe in (base, vary(source)))
    assert not np.array_equal(one.predictions, two.predictions)


def test_loss_of_an_epoch_is_the_mean_over_its_examples(base: Recipe, data: Dataset) -> None:
    frozen = replace(base, train=replace(base.train, lr=1e-30), data=replace(base.data, augment="none"))
    frozen = replace(frozen, seeds=replace(frozen.seeds, augment=None), model=ModelRecipe(preset="linear"))
    training = prepare(frozen, data, device=torch.device("cpu"), search_path=())
    expected = float(functional.cross_entropy(training.model(data.train_inputs), data.train_labels).detach())
    assert training.train_epoch(1) == [pytest.approx(expected, rel=1e-5)]
