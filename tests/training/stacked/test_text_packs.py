"""Packs of language models against single ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.catalog.presets import QRNN_ARGS
from engine.recipe import HASHED_MASKS, DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.checkpoint import Checkpoint, CheckpointPolicy, load_checkpoint
from engine.training.data.text import Corpus
from engine.training.loop import Outcome, train_runs
from engine.training.tasks.stacked_text import prepare
from engine.training.tasks.text import prepare as prepare_alone
from engine.training.trials.pack_validity import check_pack, find_stacking_fault
from engine.training.trials.step_times import time_pack
from engine.training.trials.workbench import Workbench

CPU = torch.device("cpu")
WORDS = torch.from_numpy(np.random.default_rng(0).integers(0, 20, 900) ** 2 // 20)
CORPUS = Corpus(WORDS[:600], WORDS[600:750], WORDS[750:], vocabulary=tuple(map(str, range(20))))
SMALL = {"embedding": 11, "hidden": 13, "layers": 2}


def make_recipe(*, shared: bool = True, size: int = 3, **train: Any) -> Recipe:
    settings: dict[str, Any] = {
        "epochs": 2, "batch_size": 6, "lr": 2.0, "momentum": 0.0, "weight_decay": 1e-5, "bias_bn_lr_scale": 1.0,
        "schedule": "constant", "warmup_epochs": 0.0, "clip_grad_norm": 0.25, "bptt": 12, "activation_reg": 2.0,
        "slowness_reg": 1.0,
    }  # fmt: skip
    return Recipe(
        data=DataRecipe(preset="pydoc"),
        model=ModelRecipe(preset="qrnn", args=tuple(sorted((QRNN_ARGS | SMALL).items()))),
        train=TrainRecipe(**(settings | train)),
        seeds=Seeds(init=1, shuffle=1, stochastic=1, lowlevel=1),
        lowlevel="order",
        device="cpu",
        pack=PackRecipe(size=size, shared_batch=shared),
    )


def replicas(recipe: Recipe, count: int = 3) -> list[Recipe]:
    """With weights, and where batches are not shared with an order inside them, of their own."""
    assert recipe.pack is not None
    names = ("init",) if recipe.pack.shared_batch else ("init", "lowlevel")
    return [replace(recipe, seeds=replace(recipe.seeds, **dict.fromkeys(names, k))) for k in range(1, count + 1)]


def digests(outcome: Outcome) -> list[Any]:
    state = sorted(outcome.state.items())
    return [(name, value.numpy().tobytes()) for name, value in state] + [outcome.predictions.tobytes()]


@pytest.mark.parametrize(("shared", "masks"), [(True, None), (False, None), (False, HASHED_MASKS)])
def test_stacked_language_models_compute_what_single_ones_compute(shared: bool, masks: int | None) -> None:
    """A whole epoch in float64, to 1e-10; learning rates and clipping included."""
    recipe = make_recipe(shared=shared, epochs=1)
    recipe = replace(recipe, model=replace(recipe.model, masks=masks))
    recipes = replicas(recipe)
    singles = [prepare_alone(r, CORPUS, device=CPU) for r in recipes]
    pack = prepare(recipes, CORPUS, device=CPU)
    for single in singles:
        single.model.double()
        single.optimiser = torch.optim.SGD(single.model.parameters(), lr=2.0, weight_decay=1e-5, foreach=False)
        single.optimiser.param_groups[0]["scale"] = 1.0
    for model in pack.models:
        model.double()
    for tensors in pack.pack.stacked.values():
        tensors.data = tensors.data.double()
    losses = pack.train_epoch(1)
    for slot, single in enumerate(singles):
        assert losses[slot] == pytest.approx(single.train_epoch(1)[0], rel=1e-6), "summed in float32"
        for name, value in single.model.state_dict().items():
            torch.testing.assert_close(pack.pack.state_of(slot)[name], value, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
def test_slot_and_company_leave_no_trace_in_text(shared: bool) -> None:
    recipe = make_recipe(shared=shared)
    one, two, three, four = replicas(recipe, 4)
    wanted = digests(train_runs([one, two, three], CORPUS, device=CPU)[0])
    assert digests(train_runs([four, three, one], CORPUS, device=CPU)[2]) == wanted
    assert digests(train_runs([one], CORPUS, device=CPU)[0]) == wanted


@pytest.mark.slow
def test_averaging_begins_for_each_replica_when_its_own_validation_says_so() -> None:
    """Long enough for some replicas to have switched to the mean, as single runs do within rounding."""
    recipe = make_recipe(epochs=13, optimizer="nt-asgd", lr=10.0)
    recipes = replicas(recipe)
    pack = train_runs(recipes, CORPUS, device=CPU)
    for outcome, r in zip(pack, recipes, strict=True):
        single = train_runs([replace(r, pack=None)], CORPUS, device=CPU)[0]
        assert outcome.test_perplexity == pytest.approx(single.test_perplexity, rel=1e-2)
        assert np.mean(outcome.predictions["argmax"] == single.predictions["argmax"]) > 0.95


@pytest.mark.slow
def test_each_replica_ends_with_its_own_best_validation_as_alone() -> None:
    """In one stream and with the best weights, as single runs do within rounding; slots leave no trace in the bits."""
    recipes = [replace(r, streams=1) for r in replicas(make_recipe(epochs=7, lr=20.0, select="best-validation"))]
    pack = train_runs(recipes, CORPUS, device=CPU)
    for outcome, r in zip(pack, recipes, strict=True):
        single = train_runs([replace(r, pack=None)], CORPUS, device=CPU)[0]
        assert outcome.test_perplexity == pytest.approx(single.test_perplexity, rel=1e-3)
        for name, value in single.state.items():
            torch.testing.assert_close(outcome.state[name], value, rtol=1e-2, atol=1e-3)
    assert digests(train_runs([recipes[2], recipes[0]], CORPUS, device=CPU)[1]) == digests(pack[0])


@pytest.mark.slow
@pytest.mark.parametrize("select", [None, "best-validation"])
def test_interrupted_text_pack_goes_on_in_other_company(tmp_path: Path, select: str | None) -> None:
    recipe = make_recipe(epochs=13, optimizer="nt-asgd", lr=10.0, select=select)
    recipes = replicas(recipe)
    policies = [CheckpointPolicy(path=tmp_path / str(k), every_s=0, recipe_id=r.id) for k, r in enumerate(recipes)]
    whole = train_runs(recipes, CORPUS, device=CPU, checkpoints=policies)
    states = [load_checkpoint(policy.path, recipe_id=r.id) for policy, r in zip(policies, recipes, strict=True)]
    starts: list[Checkpoint] = [state for state in states if state is not None]
    assert [start.epoch for start in starts] == [12, 12, 12]
    assert any("average.count" in start.extra for start in starts), "some replica averages by then"
    again = train_runs([recipes[2], recipes[0]], CORPUS, device=CPU, starts=[starts[2], starts[0]])
    assert digests(again[0]) == digests(whole[2])
    assert digests(again[1]) == digests(whole[0])


def test_text_packs_are_tested_and_timed() -> None:
    recipe = make_recipe()
    bench = Workbench(CORPUS, CPU)
    report = check_pack(recipe, bench)
    assert report.slot_invariant
    assert report.replay_equal is None
    assert time_pack(recipe, bench, timed_s=0.01) > 0
    assert find_stacking_fault(recipe, bench) is None


def test_segments_are_part_of_what_a_pack_has_in_common() -> None:
    recipe = make_recipe(shared=False)
    other = replace(recipe, seeds=replace(recipe.seeds, stochastic=2))
    assert recipe.companions != other.companions
    assert recipe.companions == replace(recipe, seeds=replace(recipe.seeds, lowlevel=2)).companions


@pytest.mark.slow
def test_bfloat16_language_models_are_float32_ones_within_its_precision() -> None:
    """Alone and in packs; the recurrence itself stays in float32, which the carried state is in."""
    recipe = make_recipe()
    half = replace(recipe, train=replace(recipe.train, precision="bf16"))
    packed = train_runs(replicas(half), CORPUS, device=CPU)
    for outcome, r in zip(packed, replicas(recipe), strict=True):
        exact = train_runs([replace(r, pack=None)], CORPUS, device=CPU)[0]
        alone = train_runs([replace(r, pack=None, train=half.train)], CORPUS, device=CPU)[0]
        assert outcome.test_cross_entropy != exact.test_cross_entropy != alone.test_cross_entropy
        assert outcome.test_cross_entropy == pytest.approx(exact.test_cross_entropy, rel=0.01)
        assert alone.test_cross_entropy == pytest.approx(exact.test_cross_entropy, rel=0.01)
