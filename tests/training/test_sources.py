"""Isolation: what each source changes, and that it changes nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.catalog.sources import SOURCES
from engine.recipe import BitChange, DataRecipe, ModelRecipe, Recipe
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

EXPECTED = {
    # source: facts that differ between seed 1 and seed 2
    "init": {"weights"},
    "shuffle": {"order", "minibatches", "rounding"},
    "augment": {"augmentation"},
    "stochastic": {"masks"},
    "lowlevel": {"order", "rounding"},
    "bit": {"weights"},
    "sample": {"sample", "minibatches", "rounding"},
}

SAMPLES = {
    "whole": DataRecipe(preset="digits", train_size=90, augment="crop-flip"),
    "bootstrap": DataRecipe(preset="digits", train_size=90, augment="crop-flip", sample="bootstrap"),
    "split": DataRecipe(preset="digits", train_size=90, augment="crop-flip", sample="split", validation_size=30),
}


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "dropnet.py").write_text(MODULE)
    return tmp_path


def digest(*tensors: torch.Tensor) -> str:
    return hashlib.sha256(b"".join(tensor.detach().contiguous().numpy().tobytes() for tensor in tensors)).hexdigest()


@dataclass(frozen=True)
class Facts:
    """Everything random about the second epoch's first batches."""

    weights: str
    rounding: str
    batches: list[list[int]]
    """Names of the examples."""
    inputs: dict[int, torch.Tensor]
    """By name, as masks are: each is indexed so that only its source moves it."""
    masks: dict[int, torch.Tensor]


def observe(recipe: Recipe, data: Dataset, module: Path) -> Facts:
    set_kernels(recipe.lowlevel, recipe.train.precision)
    training = prepare(recipe, data, device=torch.device("cpu"), search_path=(module,))
    model, masks = training.model, training.network.masks
    weights = digest(*model.parameters())
    batches = list(epoch_batches(recipe, data, 2))
    inputs = {int(name): row for batch in batches for name, row in zip(batch.examples, batch.inputs, strict=True)}
    training.key_masks(2)
    dropped: dict[int, torch.Tensor] = {}
    for batch in batches:
        masks.examples = batch.examples
        kept = model.get_submodule("drop")(torch.ones(len(batch.examples), 16)) > 0
        dropped |= {int(name): row for name, row in zip(batch.examples, kept, strict=True)}
    reference = nn.Linear(64, 10)
    nn.init.constant_(reference.bias, 0.0)
    nn.init.orthogonal_(reference.weight, generator=torch.Generator().manual_seed(0))
    plain = data.train_inputs[batches[0].examples % len(data.train_labels)].flatten(1)
    functional.cross_entropy(reference(plain), batches[0].labels).backward()
    assert reference.weight.grad is not None
    names = [batch.examples.tolist() for batch in batches]
    return Facts(weights, digest(reference.weight.grad), names, inputs, dropped)


def compare(one: Facts, two: Facts) -> set[str]:
    """Name the facts that differ; of two samples, those of the examples that both hold."""
    shared = one.inputs.keys() & two.inputs.keys()
    orders = [[name for batch in facts.batches for name in batch if name in shared] for facts in (one, two)]
    members = [[sorted(batch) for batch in facts.batches] for facts in (one, two)]
    differ = {
        "weights": one.weights != two.weights,
        "sample": one.inputs.keys() != two.inputs.keys(),
        "order": orders[0] != orders[1],
        "minibatches": members[0] != members[1],
        "augmentation": any(not torch.equal(one.inputs[name], two.inputs[name]) for name in shared),
        "masks": any(not torch.equal(one.masks[name], two.masks[name]) for name in shared),
        "rounding": one.rounding != two.rounding,
    }
    return {fact for fact, holds in differ.items() if holds}


@pytest.fixture
def dropping(base: Recipe) -> Recipe:
    model = ModelRecipe(target="dropnet:build")
    return replace(base, model=model, seeds=replace(base.seeds, stochastic=1))


@pytest.mark.parametrize(
    ("source", "kind"),
    [(source, kind) for source in SOURCES for kind in SAMPLES if (source, kind) != ("sample", "whole")],
)
def test_source_changes_its_own_and_nothing_else(
    source: str, kind: str, dropping: Recipe, data: Dataset, module: Path
) -> None:
    seeds = replace(dropping.seeds, sample=None if kind == "whole" else 1)
    recipe = replace(dropping, data=SAMPLES[kind], seeds=seeds)
    if source == "sample":  # an order inside minibatches is one of places, and other examples stand in them
        recipe = replace(recipe, lowlevel="deterministic", seeds=replace(seeds, lowlevel=None))
    if source == "bit":
        other = replace(recipe, bit=BitChange(seed=2))
    else:
        other = replace(recipe, seeds=replace(recipe.seeds, **{source: 2}))
    one, two = observe(recipe, data, module), observe(other, data, module)
    differing = compare(one, two)
    assert differing == EXPECTED[source]
    assert SOURCES[source].own_batches == bool(differing - {"weights"}), "stacked replicas share all but their weights"
    assert compare(observe(recipe, data, module), one) == set(), "the same seeds give the same facts"


def test_copies_of_an_example_have_crops_and_masks_of_their_own(dropping: Recipe, data: Dataset, module: Path) -> None:
    recipe = replace(dropping, data=SAMPLES["bootstrap"], seeds=replace(dropping.seeds, sample=1))
    facts = observe(recipe, data, module)
    copied = [name for name in facts.inputs if name >= len(data.train_labels)]
    assert len(copied) > 20
    for seen in (facts.inputs, facts.masks):
        same = [torch.equal(seen[name], seen[name % len(data.train_labels)]) for name in copied]
        assert sum(same) < len(same) / 3
    plain = observe(replace(recipe, data=replace(recipe.data, augment="none")), data, module)
    assert all(torch.equal(plain.inputs[name], data.train_inputs[name % len(data.train_labels)]) for name in copied)


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


@pytest.mark.parametrize("kind", ["bootstrap", "split"])
def test_sample_changes_the_trained_network(kind: str, base: Recipe, train: Callable[..., Outcome]) -> None:
    base = replace(base, data=SAMPLES[kind])
    one, two, again = (train(replace(base, seeds=replace(base.seeds, sample=seed))) for seed in (1, 2, 1))
    assert not np.array_equal(one.predictions, two.predictions)
    assert np.array_equal(one.predictions, again.predictions)


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
