"""Whole steps as one compiled program: their mathematics, and that bits depend on no way of calling it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import CompileError
from engine.recipe import ModelRecipe, Recipe
from engine.training import compiled_steps
from engine.training.checkpoint import CheckpointPolicy, load_checkpoint
from engine.training.compiled_steps import CompiledSteps, Minibatches, differentiate
from engine.training.data.datasets import Dataset
from engine.training.dense import open_network
from engine.training.divergence.lockstep import Pair
from engine.training.evaluation import judge
from engine.training.loop import Outcome, train_runs
from engine.training.models.builders import HiddenFullyConnected, Linear, ModelShape
from engine.training.optimiser import make_optimiser, set_learning_rate
from engine.training.stopping import Stopped
from engine.training.tasks.images import prepare
from engine.training.weights import array_bytes, weights_bytes

CPU = torch.device("cpu")
SHAPE = ModelShape(input_shape=(1, 3, 3), classes=4, width=1.0)
Train = Callable[..., Outcome]


@pytest.fixture
def recipe(base: Recipe) -> Recipe:
    """Three steps an epoch, of which the last has fewer examples."""
    return replace(base, model=ModelRecipe(preset="hidden-fc"), compiled="step")


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Run programs operation by operation, and note the shape of the labels that each call is given."""
    calls: list[tuple[int, ...]] = []

    def leave(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            given: Minibatches = arguments[1]
            calls.append((int(given.steps), *given.labels.shape))
            for tensor in given:  # a stride of its own would be compiled by itself
                assert tensor.stride() == torch.empty(tensor.shape).stride()
            return function(*arguments)

        return call

    def repeat(is_left: Callable[..., Tensor], step: Callable[..., Any], carried: tuple[Tensor, ...]) -> Any:
        while is_left(*carried):
            carried = step(*carried)
        return carried

    monkeypatch.setattr(compiled_steps, "compile_loop", leave)
    monkeypatch.setattr(compiled_steps, "find_while_loop", lambda: repeat)
    return calls


def build_drawn(build: type[nn.Module]) -> nn.Module:
    """A network whose weights are the same every time."""
    model, draws = build(SHAPE), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=draws)
    return model


def digest(outcome: Outcome) -> tuple[bytes, bytes]:
    return weights_bytes(outcome.state), array_bytes(outcome.predictions)


@pytest.mark.parametrize("build", [Linear, HiddenFullyConnected])
def test_gradients_are_those_of_autograd(build: type[nn.Module]) -> None:
    model = build_drawn(build).double()
    inputs, labels = torch.randn(7, 1, 3, 3, dtype=torch.float64), torch.randint(0, 4, (7,))
    wanted = functional.cross_entropy(model(inputs), labels)
    wanted.backward()
    parameters = list(model.parameters())
    with torch.no_grad():
        loss, gradients = differentiate(parameters, inputs.flatten(1), labels)
    torch.testing.assert_close(loss, wanted.detach())
    torch.testing.assert_close(gradients, [parameter.grad for parameter in parameters])


@pytest.mark.parametrize("build", [Linear, HiddenFullyConnected])
def test_steps_are_those_of_sgd(build: type[nn.Module], base: Recipe, uncompiled: list[tuple[int, ...]]) -> None:
    """Momentum, weight decay and the rate of biases, with rates that change and a smaller last minibatch."""
    inputs, labels, rates = torch.randn(11, 1, 3, 3), torch.randint(0, 4, (11,)), (0.5, 0.2, 0.1)

    def start() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = build_drawn(build)
        return model, make_optimiser(model.named_parameters(), base.train)

    model, optimiser = start()
    losses: list[Tensor] = []
    for rate, batch, wanted in zip(rates, inputs.split(4), labels.split(4), strict=True):
        set_learning_rate(optimiser, rate)
        optimiser.zero_grad()
        loss = functional.cross_entropy(model(batch), wanted)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach() * len(wanted))

    twin, other = start()
    dense = open_network(twin)
    assert dense is not None
    assert isinstance(other, torch.optim.SGD)
    steps = CompiledSteps(dense.layers, other, batch_size=4)
    total = steps.descend(inputs, labels, steps.scale_rates(rates))
    assert [call[0::2] for call in uncompiled] == [(2, 4), (1, 3)]
    torch.testing.assert_close(total, torch.stack(losses).sum())
    torch.testing.assert_close(list(twin.parameters()), list(model.parameters()))
    for one, own in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(other.state[own]["momentum_buffer"], optimiser.state[one]["momentum_buffer"])


def test_steps_that_were_asked_for_are_taken_before_an_epoch_ends_early(
    recipe: Recipe, data: Dataset, uncompiled: list[tuple[int, ...]]
) -> None:
    for asked, taken in ((0, []), (2, [2]), (3, [2, 1])):
        task, answers = prepare(recipe, data, device=CPU), iter([False] * asked + [True])
        uncompiled.clear()
        if asked < 3:
            with pytest.raises(Stopped):
                task.train_epoch(1, partial(next, answers))
        else:
            task.train_epoch(1, partial(next, answers))
        assert [steps for steps, *_ in uncompiled] == taken


def test_what_is_no_such_network_is_refused(base: Recipe, data: Dataset) -> None:
    unknown = replace(base, compiled="step")
    adam = replace(base, model=ModelRecipe(preset="linear"), train=replace(base.train, optimizer="adam"))
    for recipe in (unknown, replace(adam, compiled="step")):
        with pytest.raises(CompileError, match="whole steps are compiled of fully connected presets and SGD on a CPU"):
            prepare(recipe, data, device=CPU)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_bits_do_not_depend_on_how_a_program_is_called(
    recipe: Recipe, data: Dataset, train: Train, tmp_path: Path
) -> None:
    """Many steps at once, one by one, side by side, and from a checkpoint: each is the same run."""
    alone = train(recipe)
    plain = train(replace(recipe, compiled=None))
    torch.testing.assert_close(torch.tensor(alone.predictions), torch.tensor(plain.predictions), rtol=1e-3, atol=1e-4)

    task = prepare(recipe, data, device=CPU)
    assert task.steps_at_once > 2
    task.steps_at_once = 1
    for epoch in (1, 2):
        task.train_epoch(epoch)
    assert weights_bytes(task.model.state_dict()) == weights_bytes(alone.state)

    ended: list[object] = []
    policy = CheckpointPolicy(path=tmp_path / "state", every_s=0.0, recipe_id=recipe.id)
    with pytest.raises(Stopped):
        train(recipe, on_epoch=ended.append, checkpoints=policy, should_stop=lambda: bool(ended))
    start = load_checkpoint(policy.path, recipe_id=recipe.id)
    assert start is not None
    assert digest(train(recipe, start=start)) == digest(alone)
    other = replace(recipe, seeds=replace(recipe.seeds, init=2))
    together = train_runs([recipe, other], data, device=CPU)
    assert digest(together[0]) == digest(alone)
    assert digest(together[1]) == digest(train(other))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_walked_runs_stand_between_the_steps_of_a_program(recipe: Recipe, data: Dataset) -> None:
    pair = Pair.prepare([recipe, replace(recipe, seeds=replace(recipe.seeds, lowlevel=2))], data, device=CPU)
    try:
        halts: list[Any] = []
        while (halt := pair.go()) is not None and halt.step is not None:
            halts.append((halt.step, pair.parted))
        assert halts[:2] == [(0, False), (1, True)], "minibatches in another order part in the first step"
    finally:
        pair.close()


def test_figures_are_those_of_runs_alone_but_for_the_last_digits(recipe: Recipe, data: Dataset) -> None:
    task = prepare(recipe, data, device=CPU)
    (found,) = task.evaluate(1)
    wanted = judge(found.logits, data)
    assert found.accuracy == wanted.accuracy
    assert found.cross_entropy == pytest.approx(wanted.cross_entropy, rel=1e-12)


@pytest.mark.parametrize("build", [Linear, HiddenFullyConnected])
@pytest.mark.parametrize("numbers", [1, 512 * 3, 400_000])
def test_logits_are_those_of_the_network(
    build: type[nn.Module], numbers: int, base: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Examples are classified one by one, three together or all at once; the last part may be smaller."""
    monkeypatch.setattr(compiled_steps, "CACHED_NUMBERS", numbers)
    model = build_drawn(build)
    dense, optimiser = open_network(model), make_optimiser(model.named_parameters(), base.train)
    assert dense is not None
    assert isinstance(optimiser, torch.optim.SGD)
    stored = torch.randn(7, 1, 3, 3)
    found = CompiledSteps(dense.layers, optimiser, batch_size=4).classify(stored, lambda inputs: 2 * inputs)
    torch.testing.assert_close(found, model(2 * stored).detach())
    assert found.t().is_contiguous()


def sizes(numbers: Sequence[int]) -> int:
    batch_size, features = numbers
    model = nn.Linear(features, 10)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    return CompiledSteps(((model.weight, model.bias),), optimiser, batch_size).at_once


@pytest.mark.parametrize(("numbers", "wanted"), [((100, 40), 40), ((128, 3072), 10), ((5000, 40), 1), ((1, 1), 4096)])
def test_steps_of_one_call_are_bounded_by_examples_and_memory(numbers: Sequence[int], wanted: int) -> None:
    assert sizes(numbers) == wanted
