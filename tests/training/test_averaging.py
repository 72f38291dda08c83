"""Averaged weights, noisy weights and test-time views against their definitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.catalog.presets import crop_steps
from engine.errors import DataError
from engine.recipe import EvaluateRecipe, Recipe
from engine.training.averaging import WeightAverage, first_averaged_epoch
from engine.training.data.datasets import Dataset
from engine.training.evaluation import evaluate, make_views
from engine.training.loop import Outcome
from engine.training.random.weight_noise import draw_noise, noisy_weights
from engine.training.tasks.images import ImageTask, prepare
from engine.training.twins import evaluate_weights
from engine.training.weights import array_bytes, weights_bytes

Train = Callable[..., Outcome]
CPU = torch.device("cpu")


def start(recipe: Recipe, data: Dataset) -> ImageTask:
    return prepare(recipe, data, device=CPU, search_path=())


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (2, 2), (4, 4), (8, 7), (500, 376)])
def test_averaging_begins_at_three_quarters(epochs: int, first: int) -> None:
    assert first_averaged_epoch(epochs) == first


def test_running_mean_is_the_mean() -> None:
    model, average = nn.Linear(3, 2), WeightAverage()
    taken = []
    for value in (1.0, 2.0, 6.0):
        nn.init.constant_(model.weight, value)
        average.add(model)
        taken.append(value)
    other = WeightAverage()
    other.restore(average.state(), CPU)
    other.copy_to(model)
    assert torch.allclose(model.weight, torch.full((2, 3), float(np.mean(taken))))
    assert WeightAverage().state() == {}


def test_running_mean_of_a_parameter_that_is_called_count() -> None:
    model, average = nn.Module(), WeightAverage()
    model.count = nn.Parameter(torch.tensor([1.0, 2.0]))
    average.add(model)
    average.add(model)
    other = WeightAverage()
    other.restore(average.state(), CPU)
    assert other.count == 2
    assert torch.equal(other.mean["count"], model.count)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("swa", 2), ("aswa", 6)])
def test_averaged_run_ends_in_the_mean_of_its_weights(kind: str, count: int, base: Recipe, data: Dataset) -> None:
    recipe = replace(base, train=replace(base.train, epochs=8, averaging=kind))
    training = start(recipe, data)
    taken: list[list[Tensor]] = []
    for epoch in range(1, 9):
        if kind == "swa":
            training.train_epoch(epoch)
            taken += [[p.detach().clone() for p in training.model.parameters()]] if epoch >= 7 else []
        else:
            step = training.optimiser.step
            if epoch >= 7:

                def noting(step: Callable[[], None] = step, taken: list[list[Tensor]] = taken) -> None:
                    step()
                    taken.append([p.detach().clone() for p in training.model.parameters()])

                training.optimiser.step = noting  # pyright: ignore[reportAttributeAccessIssue]
            training.train_epoch(epoch)
            training.optimiser.step = step
    assert training.average.count == len(taken) == count
    training.finish(0, 8, training.evaluate(8)[0], diverged=False)
    for number, parameter in enumerate(training.model.parameters()):
        expected = torch.stack([weights[number].double() for weights in taken]).mean(0)
        assert torch.allclose(parameter.double(), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["swa", "aswa"])
def test_averaged_run_repeats_and_differs(kind: str, base: Recipe, train: Train) -> None:
    plain = replace(base, train=replace(base.train, epochs=4))
    averaged = replace(plain, train=replace(plain.train, averaging=kind))
    one, two = train(averaged), train(averaged)
    assert weights_bytes(one.state) == weights_bytes(two.state)
    other = "aswa" if kind == "swa" else None
    assert weights_bytes(one.state) != weights_bytes(
        train(replace(plain, train=replace(plain.train, averaging=other))).state
    )


def test_noise_is_relative_repeatable_and_taken_back(base: Recipe) -> None:
    def draw(seed: int) -> list[torch.Tensor]:
        noisy = replace(base, train=replace(base.train, weight_noise=0.1), seeds=replace(base.seeds, stochastic=seed))
        drawn = draw_noise(model, noisy, epoch=1, step=2)
        assert drawn is not None
        return drawn

    model = nn.Linear(200, 50)
    assert draw_noise(model, base, epoch=1, step=2) is None
    nn.init.zeros_(model.bias)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    seen = []
    for _ in range(2):
        with noisy_weights(model, 0.1, draw(3)):
            seen.append(model.weight.detach() - before["weight"])
            assert torch.equal(model.bias, before["bias"]), "zeros get no noise"
        assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert torch.equal(seen[0], seen[1])
    rms = before["weight"].square().mean().sqrt()
    assert float(seen[0].std() / rms) == pytest.approx(0.1, rel=0.05)
    with noisy_weights(model, 0.1, draw(4)):
        assert not torch.equal(model.weight.detach() - before["weight"], seen[0])


def test_noise_is_a_stochastic_source(base: Recipe, train: Train) -> None:
    noisy = replace(base, train=replace(base.train, weight_noise=0.05), seeds=replace(base.seeds, stochastic=1))
    one, two = train(noisy), train(noisy)
    assert weights_bytes(one.state) == weights_bytes(two.state)
    assert weights_bytes(one.state) != weights_bytes(train(base).state)
    other = replace(noisy, seeds=replace(noisy.seeds, stochastic=2))
    assert weights_bytes(one.state) != weights_bytes(train(other).state)


@pytest.mark.parametrize(
    ("crops", "padding", "step"),
    [(1, 4, 0), (25, 4, 2), (81, 4, 1), (9, 4, 4), (4, 4, 8), (16, 4, None), (5, 4, None), (9, 1, 1), (25, 1, None)],
)
def test_crops_make_a_grid_or_none(crops: int, padding: int, step: int | None) -> None:
    assert crop_steps(crops, padding) == step


def test_views_are_every_crop_and_its_mirror_image() -> None:
    images = torch.arange(2 * 3 * 32 * 32, dtype=torch.float32).view(2, 3, 32, 32)
    views = list(make_views(images, EvaluateRecipe(flip=True, crops=25)))
    assert len(views) == 50
    assert torch.equal(views[24], images), "the middle crop is the image"
    assert torch.equal(views[25], images.flip(3))
    assert torch.equal(views[0][:, :, 4:, 4:], images[:, :, :28, :28])
    assert not views[0][:, :, :4].any()
    assert torch.equal(views[2][:, :, 4:, 2:], images[:, :, :28, :30]), "every second offset"


def test_views_of_unfitting_data_are_refused() -> None:
    with pytest.raises(DataError, match="regular grid"):
        list(make_views(torch.zeros(1, 1, 8, 8), EvaluateRecipe(crops=25)))
    with pytest.raises(DataError, match="needs images"):
        list(make_views(torch.zeros(1, 8), EvaluateRecipe(flip=True)))


def test_prediction_is_the_mean_of_the_views_logits(base: Recipe, data: Dataset) -> None:
    training = start(base, data)
    training.train_epoch(1)
    views = EvaluateRecipe(flip=True, crops=9)
    found = evaluate(training.model, data, base, views)
    with torch.no_grad():
        each = [training.model(view.contiguous()) for view in make_views(data.test_inputs, views)]
    assert torch.allclose(found.logits, torch.stack(each).mean(0), atol=1e-5)
    right = int((found.logits.argmax(1) == data.test_labels).sum())
    assert found.accuracy == 100.0 * right / len(data.test_labels)


def test_twin_is_evaluated_to_what_training_again_would_give(base: Recipe, train: Train, data: Dataset) -> None:
    seen = replace(base, evaluate=EvaluateRecipe(flip=True))
    assert seen.trained == base
    assert seen.id != base.id
    whole, twin = train(seen), train(base)
    assert weights_bytes(whole.state) == weights_bytes(twin.state)
    again = evaluate_weights(seen, data, twin.state, device=CPU, search_path=())
    assert array_bytes(again.to_array()) == array_bytes(whole.predictions)
    assert not np.array_equal(whole.predictions, twin.predictions)
