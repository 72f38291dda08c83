"""Planted causes are found by name: step, module, operation, what differs; equal runs show none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.recipe import ModelRecipe, PackRecipe, Recipe, Seeds
from engine.training.data import batches
from engine.training.data.batches import Batch
from engine.training.data.datasets import Dataset
from engine.training.divergence import replay
from engine.training.divergence.lockstep import Pair, trim, walk
from engine.training.divergence.replay import Cause, Replay, compare_batches, find_cause
from engine.training.tasks import images
from engine.training.tasks.images import ImageTask

CPU = torch.device("cpu")


@pytest.fixture
def one(base: Recipe) -> Recipe:
    """Eighteen steps an epoch, every one with a rate."""
    train = replace(base.train, epochs=1, batch_size=5, lr=0.01, warmup_epochs=0)
    return replace(base, train=train, lowlevel="deterministic", seeds=Seeds(init=1, shuffle=1, augment=1))


@pytest.fixture
def other(one: Recipe) -> Recipe:
    """The same training again: what is planted goes by its number."""
    return replace(one, repeat=1)


def find(one: Recipe, other: Recipe, data: Dataset) -> tuple[int | None, Cause]:
    pair = Pair.prepare([one, other], trim(data, 10), device=CPU)
    found = walk(pair, growth_epochs=0)
    pair.close()
    assert found.parted is not None
    return found.parted.step, find_cause([Replay(r, data, CPU, (), None) for r in (one, other)], found.parted)


def plant(monkeypatch: pytest.MonkeyPatch, before: Callable[[ImageTask, int], object]) -> None:
    """Do something before every step of the other run."""
    take = ImageTask.train_step

    def step(self: ImageTask, batch: Batch, epoch: int, number: int) -> Tensor:
        if self.recipe.repeat is not None:
            before(self, number)
        return take(self, batch, epoch, number)

    monkeypatch.setattr(ImageTask, "train_step", step)


def test_reversed_minibatch(one: Recipe, other: Recipe, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    yield_all = batches.epoch_batches

    def turned(recipe: Recipe, *rest: Any) -> Iterator[Batch]:
        for number, batch in enumerate(yield_all(recipe, *rest)):
            turn = number == 7 and recipe.repeat is not None
            yield Batch(batch.inputs.flip(0), batch.labels.flip(0), batch.examples.flip(0)) if turn else batch

    for module in (images, replay):
        monkeypatch.setattr(module, "epoch_batches", turned)
    step, cause = find(one, other, data)
    assert (step, cause.kind) == (7, "data")
    assert cause.batches is not None
    assert (cause.batches.size, cause.batches.shared, cause.batches.moved, cause.batches.altered) == ((5, 5), 5, 4, 0)
    assert cause.batches.is_reversed
    assert cause.operation is not None
    assert (cause.operation.name, cause.operation.module) == ("aten::convolution", "conv1")


def test_one_bit(one: Recipe, other: Recipe, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays: dict[int, np.ndarray] = {}

    def move(task: ImageTask, step: int) -> None:
        """Change the memory behind torch's back: its own operations would be seen."""
        if step == 0:
            arrays[id(task)] = dict(task.model.named_parameters())["fc.weight"].detach().view(-1).numpy()
        if step == 11:
            weights = arrays[id(task)]
            weights[3] = np.nextafter(weights[3], np.float32(np.inf))

    plant(monkeypatch, move)
    step, cause = find(one, other, data)
    assert (step, cause.kind) == (11, "input")
    assert cause.operation is not None
    assert (cause.operation.module, cause.operation.phase) == ("fc", "forward")
    assert cause.operation.parameter == "fc.weight"
    assert cause.tensors is not None
    # The product reads the weights transposed.
    assert (cause.tensors.differing, cause.tensors.ulps, cause.tensors.where) == (1, 1.0, (3, 0))


def test_two_threads(one: Recipe, other: Recipe, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    train = replace(one.train, batch_size=45)
    plant(monkeypatch, lambda task, step: torch.set_num_threads(2 if step == 1 else 1))
    try:
        step, cause = find(replace(one, train=train), replace(other, train=train), data)
    finally:
        torch.set_num_threads(1)
    assert (step, cause.kind) == (1, "kernel")
    assert cause.operation is not None
    assert cause.operation.name in (
        "aten::convolution_backward",
        "aten::native_batch_norm",
        "aten::native_batch_norm_backward",
    )
    assert cause.operation.module
    assert cause.tensors is not None
    assert cause.tensors.ulps is not None
    assert cause.tensors.ulps >= 1


def test_random_layer_without_a_key(one: Recipe, other: Recipe, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = ImageTask.begin_epoch

    def add_noise(self: ImageTask, epoch: int) -> None:
        begin(self, epoch)
        generator = torch.Generator()
        generator.seed()

        def disturb(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            return (inputs[0] + torch.empty(()).uniform_(generator=generator),)

        dict(self.model.named_modules())["bn1"].register_forward_pre_hook(disturb)

    monkeypatch.setattr(ImageTask, "begin_epoch", add_noise)
    step, cause = find(one, other, data)
    assert (step, cause.kind) == (0, "random")
    assert cause.operation is not None
    assert (cause.operation.name, cause.operation.module) == ("aten::uniform_", "bn1")


def test_module_that_numpy_writes_in_reads_what_differs(
    one: Recipe, other: Recipe, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torch has just computed is changed behind it: the next operation is not the one that computes otherwise."""
    begin = ImageTask.begin_epoch

    def add_noise(self: ImageTask, epoch: int) -> None:
        begin(self, epoch)

        def disturb(module: nn.Module, inputs: tuple[Tensor]) -> None:
            inputs[0].detach().numpy()[0] += 0.0 if self.recipe.repeat is None else 1.0

        dict(self.model.named_modules())["bn1"].register_forward_pre_hook(disturb)

    monkeypatch.setattr(ImageTask, "begin_epoch", add_noise)
    step, cause = find(one, other, data)
    assert (step, cause.kind) == (0, "input")
    assert cause.operation is not None
    assert (cause.operation.name, cause.operation.place) == ("aten::native_batch_norm", "input input")
    assert cause.tensors is not None
    assert cause.tensors.where[0] == 0


def test_other_rate_is_a_number_that_the_program_computed(one: Recipe, data: Dataset) -> None:
    step, cause = find(one, replace(one, train=replace(one.train, lr=0.02)), data)
    assert (step, cause.kind) == (0, "argument")
    assert cause.operation is not None
    assert cause.operation.phase == "optimiser"
    words = [set(said.split(", ")) for said in cause.operation.arguments]
    assert {word.split("=")[0] for word in words[0] ^ words[1]} == {"lr"}


def test_runs_of_a_pack_are_traced_in_it(one: Recipe, data: Dataset) -> None:
    packed = replace(one, pack=PackRecipe(size=2, shared_batch=False), train=replace(one.train, batch_size=45))
    step, cause = find(packed, replace(packed, seeds=replace(packed.seeds, shuffle=2)), data)
    assert (step, cause.kind) == (0, "data")
    assert cause.operation is not None
    assert (cause.operation.name, cause.operation.module) == ("aten::convolution", "conv1")
    step, cause = find(packed, replace(packed, train=replace(packed.train, lr=0.02)), data)
    assert (step, cause.kind) == (0, "argument")


@pytest.mark.slow
@pytest.mark.parametrize("lowlevel", ["deterministic", "order"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("preset", ["linear", "hidden-fc", "hidden-conv", "resnet6", "mnist-cnn"])
def test_equal_runs_show_no_operation(one: Recipe, data: Dataset, preset: str, optimizer: str, lowlevel: Any) -> None:
    recipe = replace(
        one,
        model=ModelRecipe(preset=preset),
        train=replace(one.train, optimizer=optimizer),
        lowlevel=lowlevel,
        seeds=replace(one.seeds, lowlevel=2 if lowlevel == "order" else None),
    )
    traces = [Replay(recipe, data, CPU, (), None).trace(1, 3).records for _ in range(2)]
    assert len(traces[0]) > 10
    assert replay.comparison.compare(*traces) is None


def test_minibatches_are_compared_by_their_examples() -> None:
    def batch(*examples: int, shift: float = 0.0) -> Batch:
        names = torch.tensor(examples)
        return Batch(names[:, None] + torch.tensor([0.0, shift]), names % 2, names)

    assert compare_batches(batch(1, 2), batch(1, 2)) is None
    found = compare_batches(batch(1, 2, 3), batch(3, 4, 1, shift=1.0))
    assert found is not None
    assert (found.shared, found.moved, found.altered, found.is_reversed) == (2, 2, 2, False)
    assert found.examples == ((1, 2, 3), (3, 4, 1))
