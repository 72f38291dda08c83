"""Networks with random layers: another order is other rounding, alone and in packs, and draws are the examples'."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.recipe import PackRecipe
from engine.training.trials.pack_validity import find_stacking_fault
from engine.training.trials.workbench import Workbench
from tests.helpers.random_layers import (
    ALONE,
    CPU,
    LAYERS,
    NARROW,
    NETWORKS,
    draw_by_example,
    make_data,
    make_recipe,
    make_single,
    measure,
    reseed,
)

CLOSE = 1e-9

SMALL = (*NETWORKS[:2], *NARROW)
"""Networks of torchvision that take little memory, and the layers of the others."""


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # torch's own, on operations it stacks one by one
@pytest.mark.parametrize("name", [*LAYERS, *(pytest.param(name, marks=pytest.mark.slow) for name in SMALL)])
def test_order_is_rounding_alone_and_in_packs(name: str) -> None:
    data = make_data() if name in LAYERS else make_data(12)
    found = measure(name, data)
    assert found["lowlevel"] <= CLOSE
    assert found["stochastic"] > 1e-4, "random layers draw, and their seed matters"
    if name not in ALONE:
        assert found["lowlevel, packed"] <= CLOSE
        assert found["pack"] <= 1e-10


@pytest.mark.parametrize(
    "name", ["functional.dropout", "nn.RReLU", "nn.MultiheadAttention", "nn.LSTM", "bernoulli_ in place"]
)
def test_shuffling_leaves_each_example_its_draws(name: str) -> None:
    recipe, data = make_recipe(name), make_data()
    usual = draw_by_example(recipe, data)
    assert len(usual) == len(data.train_labels)
    shuffled = draw_by_example(reseed(recipe, shuffle=2, lowlevel=2), data)
    assert all(torch.equal(usual[key], shuffled[key]) for key in usual | shuffled)
    other = draw_by_example(reseed(recipe, stochastic=2), data)
    assert not any(torch.equal(usual[key], other[key]) for key in usual)


@pytest.mark.parametrize("name", ALONE)
def test_what_torch_cannot_stack_is_trained_alone(name: str) -> None:
    recipe = replace(make_recipe(name), pack=PackRecipe(size=2, shared_batch=False))
    fault = find_stacking_fault(recipe, Workbench(make_single(make_data()), CPU))
    assert fault is not None
    assert fault.startswith("torch.func cannot stack its model: RuntimeError")
