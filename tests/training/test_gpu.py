"""What only a CUDA device can show; skipped with a reason where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.recipe import BitChange, ModelRecipe, PackRecipe, Recipe
from engine.training.data.datasets import Dataset
from engine.training.loop import Outcome, train_runs
from engine.training.random.seeding import set_kernels
from engine.training.trials import facts
from engine.training.trials.pack_validity import check_pack
from engine.training.trials.workbench import Workbench
from engine.training.weights import weights_bytes
from engine.tuning.messages import Facts, FactsQuestion, Surroundings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device and a CUDA build of torch"),
]


@pytest.fixture
def on_gpu(base: Recipe) -> Recipe:
    return replace(base, device="cuda", lowlevel="deterministic", seeds=replace(base.seeds, lowlevel=None))


def test_deterministic_kernels_repeat_bit_for_bit(on_gpu: Recipe, train: Callable[..., Outcome]) -> None:
    outcomes = [train(on_gpu) for _ in range(3)]
    assert len({weights_bytes(outcome.state) for outcome in outcomes}) == 1


def test_order_is_a_source_on_a_gpu(on_gpu: Recipe, train: Callable[..., Outcome]) -> None:
    recipes = [replace(on_gpu, lowlevel="order", seeds=replace(on_gpu.seeds, lowlevel=seed)) for seed in (1, 2)]
    one, two = (train(recipe) for recipe in recipes)
    assert not np.array_equal(one.predictions, two.predictions)


def test_one_bit_survives_ieee_arithmetic(on_gpu: Recipe, train: Callable[..., Outcome]) -> None:
    longer = replace(on_gpu, train=replace(on_gpu.train, epochs=6))
    assert not np.array_equal(train(longer).predictions, train(replace(longer, bit=BitChange(seed=2))).predictions)


def find_facts(recipe: Recipe, root: Path, *, timed: bool) -> Facts:
    surroundings = Surroundings(root=str(root), search_path=(), graphs=True)
    found = facts.answer(FactsQuestion(recipe=recipe, timed=timed), surroundings)
    assert isinstance(found, Facts)
    return found


def test_free_kernels_are_judged(on_gpu: Recipe, tmp_path: Path) -> None:
    found = find_facts(replace(on_gpu, lowlevel="kernels"), tmp_path, timed=False)
    assert found.kernel_digests


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_lower_precision_repeats_too(on_gpu: Recipe, train: Callable[..., Outcome], precision: str) -> None:
    recipe = replace(on_gpu, train=replace(on_gpu.train, precision=precision))
    assert weights_bytes(train(recipe).state) == weights_bytes(train(recipe).state)


@pytest.mark.parametrize("preset", ["linear", "hidden-fc", "resnet6"])
@pytest.mark.parametrize("shared", [True, False])
def test_recorded_steps_of_packs_have_the_bits_of_steps_taken_one_by_one(
    on_gpu: Recipe, data: Dataset, preset: str, shared: bool
) -> None:
    set_kernels("deterministic", "fp32")
    recipe = replace(on_gpu, model=ModelRecipe(preset=preset), pack=PackRecipe(size=4, shared_batch=shared))
    device = torch.device("cuda:0")
    report = check_pack(recipe, Workbench(data.to(device), device))
    assert report.replay_equal is True


def test_packs_repeat_and_their_control_is_exact(on_gpu: Recipe, data: Dataset) -> None:
    recipe = replace(on_gpu, model=ModelRecipe(preset="resnet6"), pack=PackRecipe(size=3, shared_batch=True))
    recipes = [replace(recipe, repeat=k) for k in (1, 2, 3)]
    outcomes = [train_runs(recipes, data, device=torch.device("cuda:0"), graphs=graphs) for graphs in (True, False)]
    assert len({weights_bytes(outcome.state) for outcomes_of in outcomes for outcome in outcomes_of}) == 1


def test_larger_packs_are_tried_and_timed(on_gpu: Recipe, tmp_path: Path) -> None:
    recipe = replace(on_gpu, pack=PackRecipe(size=8, shared_batch=True))
    found = find_facts(recipe, tmp_path, timed=True)
    assert found.seconds_per_epoch is not None
    assert found.seconds_per_epoch > 0
    assert found.slot_invariant is not None
