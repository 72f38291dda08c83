"""Packs against single runs: equal mathematics in float64, slots and companions that leave no trace."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from engine.recipe import BitChange, DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.checkpoint import CheckpointPolicy, load_checkpoint
from engine.training.data.batches import epoch_batches
from engine.training.data.datasets import Dataset
from engine.training.loop import Outcome, train_runs
from engine.training.optimiser import make_optimiser
from engine.training.random.seeding import use_one_thread
from engine.training.stacked.network import Pack
from engine.training.tasks import images, stacked_images
from engine.training.tasks.preparation import prepare_pack
from engine.training.tasks.stacked_images import replica_losses

CPU = torch.device("cpu")
PRESETS = [
    "linear", "hidden-fc", "hidden-conv", "resnet6", "resnet10", "resnet14", "mnist-cnn",
]  # fmt: skip
LARGE_PRESETS = ["resnet18", "shufflenetv2-50", "vgg11"]


def make_data(size: int = 32, channels: int = 3, train: int = 60, test: int = 24) -> Dataset:
    generator = torch.Generator().manual_seed(3)
    shape = (channels, size, size)
    labels = torch.randint(0, 4, (train + test,), generator=generator)
    inputs = torch.randn(train + test, *shape, generator=generator) + labels.view(-1, 1, 1, 1) * 0.3
    return Dataset(inputs[:train], labels[:train], inputs[train:], labels[train:], classes=4)


def make_recipe(preset: str = "hidden-fc", *, shared: bool = True, size: int = 3, **train: Any) -> Recipe:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 12, "lr": 0.05, "warmup_epochs": 1.0}
    return Recipe(
        data=DataRecipe(preset="synthetic"),
        model=ModelRecipe(preset=preset),
        train=TrainRecipe(**(settings | train)),
        seeds=Seeds(init=1, shuffle=1, lowlevel=1),
        lowlevel="order",
        device="cpu",
        pack=PackRecipe(size=size, shared_batch=shared),
    )


def vary_init(recipe: Recipe, seed: int) -> Recipe:
    return replace(recipe, seeds=replace(recipe.seeds, init=seed))


@pytest.mark.parametrize(
    ("preset", "shared"),
    # Grouped convolutions in float64 are slow on CPUs: the large networks are compared once.
    [(preset, True) for preset in PRESETS]
    + [(preset, False) for preset in ("hidden-fc", "hidden-conv", "resnet10")]
    + [pytest.param(preset, True, marks=pytest.mark.slow) for preset in LARGE_PRESETS],
)
def test_pack_computes_what_single_networks_compute(preset: str, shared: bool) -> None:
    """Five steps in float64, to 1e-10: the same mathematics, whatever the kernels."""
    use_one_thread()
    data = make_data({"vgg11": 32, "shufflenetv2-50": 16}.get(preset, 8), train=20)
    recipe = make_recipe(preset, shared=shared, size=2, batch_size=4)
    recipes = [vary_init(recipe, 1), vary_init(recipe, 2)]
    models = [images.prepare(r, data, device=CPU).model.double() for r in recipes]
    assert recipe.pack is not None
    pack = Pack(models, recipe.train, recipe.pack)
    pack.train()
    optimisers = [
        torch.optim.SGD(make_optimiser(m.named_parameters(), recipe.train).param_groups, lr=0.05) for m in models
    ]
    for step, batch in enumerate(epoch_batches(recipe, data, 1)):
        if step == 5:
            break
        inputs, labels = batch.inputs.double(), batch.labels
        for group in [g for o in [pack.optimiser, *optimisers] for g in o.param_groups]:
            group["lr"] = 0.01 * group["scale"]
        own = inputs if shared else torch.stack([inputs] * 2)
        logits = pack.use(lambda network, x: network(x), own, in_dims=(None if shared else 0,))
        losses = replica_losses(logits, labels)
        pack.optimiser.zero_grad()
        losses.sum().backward()
        pack.optimiser.step()
        for slot, (model, optimiser) in enumerate(zip(models, optimisers, strict=True)):
            model.train()
            loss = functional.cross_entropy(model(inputs), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            torch.testing.assert_close(losses[slot].detach(), loss.detach(), rtol=0, atol=1e-10)
    for slot, model in enumerate(models):
        state = pack.state_of(slot)
        assert set(state) == set(model.state_dict())
        for name, value in model.state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=1e-10, atol=1e-10)


def digests(outcome: Outcome) -> list[Any]:
    state = outcome.state
    return [(name, value.numpy().tobytes()) for name, value in sorted(state.items())] + [outcome.predictions.tobytes()]


@pytest.mark.parametrize("preset", ["linear", "hidden-fc", "hidden-conv"])
@pytest.mark.parametrize("shared", [True, False])
def test_slot_and_company_leave_no_trace(preset: str, shared: bool) -> None:
    """A run has the same bits in every slot, beside whatever others, and in a pack that is filled up."""
    data = make_data(8)
    recipe = make_recipe(preset, shared=shared)
    if not shared:
        recipe = replace(recipe, seeds=replace(recipe.seeds, shuffle=5))
    one, two, three, four = (vary_init(recipe, seed) for seed in (1, 2, 3, 4))
    wanted = digests(train_runs([one, two, three], data, device=CPU)[0])
    assert digests(train_runs([four, three, one], data, device=CPU)[2]) == wanted
    assert digests(train_runs([two, one], data, device=CPU)[1]) == wanted
    assert digests(train_runs([one], data, device=CPU)[0]) == wanted


def test_one_moved_bit_is_the_only_difference() -> None:
    data, recipe = make_data(8), make_recipe("hidden-fc")
    moved = replace(recipe, bit=BitChange(seed=4))
    alone, beside = train_runs([recipe, moved], data, device=CPU)
    assert beside.bit is not None
    assert alone.bit is None
    changed = {name for name, value in alone.state.items() if not torch.equal(value, beside.state[name])}
    assert "fc1.weight" in changed


def test_control_agrees_to_the_last_bit_inside_a_pack() -> None:
    data, recipe = make_data(8), make_recipe("hidden-fc")
    outcomes = train_runs([replace(recipe, repeat=k) for k in (1, 2, 3)], data, device=CPU)
    assert digests(outcomes[0]) == digests(outcomes[1]) == digests(outcomes[2])


@pytest.mark.parametrize("train", [{}, {"clip_grad_norm": 0.5}, {"optimizer": "adam", "lr": 1e-3}])
@pytest.mark.parametrize("shared", [True, False])
def test_whole_training_is_that_of_single_runs_within_rounding(shared: bool, train: dict[str, Any]) -> None:
    data = make_data(8)
    recipe = make_recipe("hidden-conv", shared=shared, **train)
    recipes = [vary_init(recipe, seed) for seed in (1, 2, 3)]
    if not shared:
        recipes = [replace(r, seeds=replace(r.seeds, shuffle=k)) for k, r in enumerate(recipes)]
    seen: list[tuple[int, int]] = []
    outcomes = train_runs(recipes, data, device=CPU, on_epoch=lambda slot, record: seen.append((slot, record.epoch)))
    assert seen == [(slot, epoch) for epoch in (1, 2) for slot in range(3)]
    for outcome, r in zip(outcomes, recipes, strict=True):
        single = train_runs([replace(r, pack=None)], data, device=CPU)[0]
        torch.testing.assert_close(
            torch.from_numpy(outcome.predictions), torch.from_numpy(single.predictions), rtol=1e-3, atol=1e-4
        )
        assert outcome.test_cross_entropy == pytest.approx(single.test_cross_entropy, rel=1e-4)


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("kind", "left_out"), [("bootstrap", None), ("split", 13)])
def test_each_replica_of_a_pack_has_its_own_sample(kind: str, left_out: int | None) -> None:
    """A whole training in float64, whose last minibatch is a short one, to 1e-10."""
    data = make_data(8)
    data = replace(data, train_inputs=data.train_inputs.double(), test_inputs=data.test_inputs.double())
    recipe = make_recipe(shared=False)
    recipe = replace(recipe, data=replace(recipe.data, sample=kind, validation_size=left_out))
    recipes = [replace(recipe, seeds=replace(recipe.seeds, sample=seed)) for seed in (1, 2, 3)]
    losses: dict[int, list[float | None]] = {}
    packed = train_runs(
        recipes, data, device=CPU, on_epoch=lambda run, record: losses.setdefault(run, []).append(record.train_loss)
    )
    for slot, (outcome, r) in enumerate(zip(packed, recipes, strict=True)):
        alone: list[float | None] = []
        single = train_runs(
            [replace(r, pack=None)],
            data,
            device=CPU,
            on_epoch=lambda _, record, alone=alone: alone.append(record.train_loss),
        )[0]
        assert losses[slot] == pytest.approx(alone, abs=1e-10)
        for name, value in single.state.items():
            assert value.dtype == torch.float64
            torch.testing.assert_close(outcome.state[name], value, rtol=0, atol=1e-10)
    assert len({tuple(found) for found in losses.values()}) == 3


def test_snapshots_are_averaged_for_each_replica() -> None:
    data = make_data(8)
    recipe = make_recipe("hidden-fc", schedule="snapshot", cycles=2, warmup_epochs=0.0)
    for outcome, r in zip(
        train_runs([vary_init(recipe, 1), vary_init(recipe, 2)], data, device=CPU),
        [vary_init(recipe, 1), vary_init(recipe, 2)],
        strict=True,
    ):
        single = train_runs([replace(r, pack=None)], data, device=CPU)[0]
        torch.testing.assert_close(
            torch.from_numpy(outcome.predictions), torch.from_numpy(single.predictions), rtol=1e-3, atol=1e-4
        )


def test_diverged_replica_ends_and_leaves_the_others_alone() -> None:
    data, recipe = make_data(8), make_recipe("hidden-fc", epochs=3)
    recipes = [vary_init(recipe, seed) for seed in (1, 2, 3)]
    wanted = digests(train_runs(recipes, data, device=CPU)[0])
    task = prepare_pack(recipes, data, device=CPU)
    with torch.no_grad():
        task.pack.stacked["fc1.weight"][1] = torch.nan
    losses = task.train_epoch(1)
    assert [math.isfinite(loss) for loss in losses] == [True, False, True]
    assert digests(train_runs(recipes, data, device=CPU)[0]) == wanted


@pytest.mark.parametrize("preset", ["linear", "hidden-fc"])
@pytest.mark.parametrize("shared", [True, False])
def test_bfloat16_packs_are_float32_ones_within_its_precision(preset: str, shared: bool) -> None:
    data, recipe = make_data(8), make_recipe(preset, shared=shared)
    half = replace(recipe, train=replace(recipe.train, precision="bf16"))
    packed = train_runs([vary_init(half, seed) for seed in (1, 2, 3)], data, device=CPU)
    for outcome, r in zip(packed, [vary_init(recipe, seed) for seed in (1, 2, 3)], strict=True):
        alone = train_runs([replace(r, pack=None)], data, device=CPU)[0].predictions
        assert not np.array_equal(outcome.predictions, alone), "the products are rounded to eight bits"
        np.testing.assert_allclose(outcome.predictions, alone, rtol=0, atol=0.03 * np.abs(alone).max())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("last", [True, False])
def test_restored_optimiser_is_laid_out_as_its_weights(optimizer: str, last: bool, tmp_path: Path) -> None:
    """Fused optimisers of CUDA refuse weights and state of unlike strides."""
    data, recipe = make_data(8), make_recipe("resnet6", epochs=1, optimizer=optimizer)
    recipe = replace(recipe, pack=PackRecipe(size=2, shared_batch=True, channels_last=last))
    recipes = [vary_init(recipe, seed) for seed in (1, 2)]
    task, again = prepare_pack(recipes, data, device=CPU), prepare_pack(recipes, data, device=CPU)
    task.train_epoch(1)
    starts = []
    for slot, r in enumerate(recipes):
        policy = CheckpointPolicy(path=tmp_path / str(slot), every_s=0.0, recipe_id=r.id)
        policy.save(task.capture(slot, epoch=1, seconds=0.0))
        starts.append(load_checkpoint(policy.path, recipe_id=r.id))
    again.pack.restore(starts, again.models, recipe.train)
    assert any(parameter.dim() == 5 for parameter in again.pack.stacked.values())
    for name, parameter in again.pack.stacked.items():
        before = task.pack.optimiser.state[task.pack.stacked[name]]
        for key, value in again.pack.optimiser.state[parameter].items():
            assert torch.equal(value, before[key])
            assert value.dim() == 0 or value.stride() == parameter.stride()


@pytest.mark.parametrize("other", [{"epochs": 3}, {"lr": 0.1}])
def test_recipes_that_are_not_of_one_pack_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one pack"):
        prepare_pack(
            [make_recipe(), replace(make_recipe(), train=replace(make_recipe().train, **other))],
            make_data(8),
            device=CPU,
        )
    with pytest.raises(ValueError, match="one pack"):
        prepare_pack([make_recipe(size=1)] * 2, make_data(8), device=CPU)


@pytest.mark.parametrize("preset", ["linear", "hidden-fc"])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    "train",
    [{}, {"batch_size": 16, "clip_grad_norm": 0.5}, {"optimizer": "adam", "lr": 1e-3}, {"momentum": 0.0}],
)
def test_packs_that_are_differentiated_by_hand_have_the_bits_of_autograd(
    preset: str, shared: bool, train: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of 12 and 16, and shorter last ones: products that share memory, and products that may not."""
    data, recipe = make_data(7, train=50), make_recipe(preset, shared=shared, **train)
    recipes = [vary_init(recipe, seed) for seed in (1, 2, 3)]
    if not shared:
        recipes = [replace(r, seeds=replace(r.seeds, shuffle=k)) for k, r in enumerate(recipes)]
    by_hand = train_runs(recipes, data, device=CPU)
    monkeypatch.setattr(stacked_images, "open_pack", lambda pack: None)
    usual = train_runs(recipes, data, device=CPU)
    assert [digests(outcome) for outcome in by_hand] == [digests(outcome) for outcome in usual]


def test_only_packs_of_known_networks_are_differentiated_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(loss: torch.Tensor) -> None:
        raise AssertionError("no graph is walked")

    half = replace(make_recipe(), train=replace(make_recipe().train, precision="bf16"))
    compiled = replace(make_recipe(), pack=PackRecipe(size=1, shared_batch=True, compiled=True))
    data = make_data(8)
    for recipe in (make_recipe("hidden-conv", size=1), half, compiled):
        assert stacked_images.prepare([recipe], data, device=CPU, search_path=()).dense is None
    task = stacked_images.prepare([make_recipe()], data, device=CPU, search_path=())
    monkeypatch.setattr(torch.Tensor, "backward", refuse)
    task.train_epoch(1)
    task.dense = None
    with pytest.raises(AssertionError, match="no graph"):
        task.train_epoch(2)
