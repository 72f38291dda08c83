"""Networks that are differentiated by hand: the bits of autograd, and no graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from engine.recipe import DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.datasets import Dataset
from engine.training.dense import open_network
from engine.training.loop import train_runs
from engine.training.models.builders import BUILDERS, ModelShape
from engine.training.random.seeding import use_one_thread
from engine.training.tasks import images

CPU = torch.device("cpu")


def make_data(classes: int = 5) -> Dataset:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(90, 1, 3, 13, generator=generator)
    labels = torch.randint(0, classes, (90,), generator=generator)
    return Dataset(inputs[:50], labels[:50], inputs[50:], labels[50:], classes=classes)


def make_recipe(preset: str, **train: Any) -> Recipe:
    return Recipe(
        data=DataRecipe(preset="synthetic"),
        model=ModelRecipe(preset=preset),
        train=TrainRecipe(**({"epochs": 2, "batch_size": 16, "lr": 0.05, "warmup_epochs": 1.0} | train)),
        seeds=Seeds(init=1, shuffle=1, lowlevel=1),
        lowlevel="order",
        device="cpu",
    )


@pytest.mark.parametrize("preset", ["linear", "hidden-fc"])
@pytest.mark.parametrize("examples", [1, 7, 100])
@pytest.mark.parametrize("classes", [2, 10, 33])
def test_gradients_have_the_bits_of_autograd(preset: str, examples: int, classes: int) -> None:
    use_one_thread()
    model = BUILDERS[preset](ModelShape(input_shape=(1, 3, 13), classes=classes, width=1.0))
    generator = torch.Generator().manual_seed(examples)
    inputs = torch.randn(examples, 1, 3, 13, generator=generator)
    labels = torch.randint(0, classes, (examples,), generator=generator)
    loss = functional.cross_entropy(model(inputs), labels)
    loss.backward()
    wanted = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    dense = open_network(model)
    assert dense is not None
    assert torch.equal(dense.differentiate(inputs, labels), loss.detach())
    for parameter, gradient in zip(model.parameters(), wanted, strict=True):
        assert parameter.grad is not None
        assert gradient is not None
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("preset", ["linear", "hidden-fc"])
@pytest.mark.parametrize(
    "train", [{}, {"clip_grad_norm": 0.1}, {"optimizer": "adam", "lr": 1e-3}, {"momentum": 0.0, "weight_decay": 0.0}]
)
def test_runs_have_the_bits_of_autograd(preset: str, train: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, data = make_recipe(preset, **train), make_data()
    by_hand = train_runs([recipe], data, device=CPU)[0]
    monkeypatch.setattr(images, "open_network", lambda model: None)
    usual = train_runs([recipe], data, device=CPU)[0]
    assert by_hand.predictions.tobytes() == usual.predictions.tobytes()
    assert by_hand.test_cross_entropy == usual.test_cross_entropy
    for name, value in usual.state.items():
        assert torch.equal(by_hand.state[name], value)


def test_no_graph_is_built_where_gradients_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(loss: torch.Tensor) -> None:
        raise AssertionError("no graph is walked")

    task = images.prepare(make_recipe("hidden-fc"), make_data(), device=CPU)
    monkeypatch.setattr(torch.Tensor, "backward", refuse)
    task.train_epoch(1)
    task.dense = None
    with pytest.raises(AssertionError, match="no graph"):
        task.train_epoch(2)


def test_other_networks_and_precisions_are_left_to_autograd() -> None:
    data = make_data()
    assert images.prepare(make_recipe("linear"), data, device=CPU).dense is not None
    assert images.prepare(make_recipe("hidden-conv"), data, device=CPU).dense is None
    assert images.prepare(make_recipe("linear", precision="bf16"), data, device=CPU).dense is None
    data = replace(data, train_inputs=data.train_inputs[..., :8], test_inputs=data.test_inputs[..., :8])
    assert images.prepare(make_recipe("resnet6"), data, device=CPU).dense is None
