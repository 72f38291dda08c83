"""The learning rate of every step, against the published code's formula written down on its own."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from engine.recipe import TrainRecipe
from engine.training.models.builders import BUILDERS, ModelShape
from engine.training.optimiser import learning_rate, make_optimiser, set_learning_rate

PAPER = TrainRecipe(epochs=500, batch_size=512)
STEPS = 98


def published(step: int, *, top: float = 0.4, epochs: int = 500, warmup: float = 3, steps: int = STEPS) -> float:
    """train.py of the published code: warm-up first, cosine over the whole training afterwards."""
    cur_epoch = step / steps
    if cur_epoch <= warmup:
        return top * cur_epoch / warmup
    return 0.5 * top * (1 + math.cos(cur_epoch / epochs * math.pi))


@pytest.mark.parametrize(
    "step",
    [0, 1, 2, 50, 97, 98, 99, 196, 293, 294, 295, 296, 1000, 9_800, 24_500, 36_750, 48_000, 48_901, 48_998, 48_999],
)
def test_learning_rate_at_twenty_steps(step: int) -> None:
    assert learning_rate(step, STEPS, PAPER) == pytest.approx(published(step), rel=1e-12, abs=1e-15)


def test_first_step_has_rate_zero_and_warm_up_ends_at_the_top() -> None:
    assert learning_rate(0, STEPS, PAPER) == 0.0
    assert learning_rate(3 * STEPS, STEPS, PAPER) == pytest.approx(0.4)
    assert learning_rate(3 * STEPS + 1, STEPS, PAPER) < 0.4


def test_no_warm_up_starts_at_the_top_and_constant_stays_there() -> None:
    train = TrainRecipe(epochs=10, batch_size=1, lr=0.3, warmup_epochs=0, schedule="constant")
    assert {learning_rate(step, 5, train) for step in range(50)} == {0.3}
    cosine = TrainRecipe(epochs=10, batch_size=1, lr=0.3, warmup_epochs=0)
    assert learning_rate(0, 5, cosine) == 0.3


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_groups_take_their_scaled_rate(name: str) -> None:
    model = BUILDERS["resnet6"](ModelShape(input_shape=(1, 8, 8), classes=10, width=0.25))
    train = TrainRecipe(epochs=1, batch_size=1, optimizer=name, bias_bn_lr_scale=0.25)
    optimiser = make_optimiser(model.named_parameters(), train)
    set_learning_rate(optimiser, 0.8)
    assert sorted(group["lr"] for group in optimiser.param_groups) == [0.2, 0.8]
    assert {group["weight_decay"] for group in optimiser.param_groups} == {5e-4}


def test_momentum_and_weight_decay_follow_the_textbook() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    train = TrainRecipe(epochs=1, batch_size=1, lr=0.1, momentum=0.9, weight_decay=0.01)
    optimiser = make_optimiser(model.named_parameters(), train)
    weight, velocity = float(model.weight.detach()), 0.0
    for _ in range(4):
        optimiser.zero_grad()
        (3.0 * model.weight).sum().backward()
        set_learning_rate(optimiser, 0.1)
        optimiser.step()
        velocity = 0.9 * velocity + 3.0 + 0.01 * weight
        weight -= 0.1 * velocity
    assert float(model.weight.detach()) == pytest.approx(weight, rel=1e-5)


def test_a_step_is_seen_by_hooks_of_its_optimiser_and_of_all() -> None:
    model = torch.nn.Linear(2, 1)
    optimiser = make_optimiser(model.named_parameters(), TrainRecipe(epochs=1, batch_size=1))
    model(torch.ones(1, 2)).sum().backward()
    seen: list[str] = []
    hooks = [
        optimiser.register_step_pre_hook(lambda *given: seen.append("own, before")),
        optimiser.register_step_post_hook(lambda *given: seen.append("own, after")),
        register_optimizer_step_pre_hook(lambda *given: seen.append("all, before")),
        register_optimizer_step_post_hook(lambda *given: seen.append("all, after")),
    ]
    optimiser.step()
    assert sorted(seen) == ["all, after", "all, before", "own, after", "own, before"]
    for hook in hooks:
        hook.remove()
    optimiser.step()
    assert len(seen) == 4
