"""One recipe, one result: twice, after other work, continued from a checkpoint; and what a run reports."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec import structs
from scipy import special

from engine.errors import PerturbationError
from engine.recipe import BitChange, ModelRecipe, Recipe, TrainRecipe
from engine.study.epochs import EpochRecord
from engine.training.checkpoint import CheckpointPolicy, load_checkpoint
from engine.training.data.datasets import Dataset
from engine.training.evaluation import ImageEvaluation
from engine.training.loop import Outcome
from engine.training.stopping import Stopped
from engine.training.weights import array_bytes, weights_bytes

LINEAR = ModelRecipe(preset="linear")


def same(one: Outcome, other: Outcome) -> bool:
    equal_weights = weights_bytes(one.state) == weights_bytes(other.state)
    return equal_weights and array_bytes(one.predictions) == array_bytes(other.predictions)


def test_same_recipe_twice_gives_the_same_bits(base: Recipe, train: Callable[..., Outcome]) -> None:
    assert same(train(base), train(base))


def test_what_a_process_trained_before_does_not_matter(
    base: Recipe, vary: Callable[..., Recipe], train: Callable[..., Outcome]
) -> None:
    first = train(base)
    train(replace(base, model=LINEAR, train=replace(base.train, optimizer="adam", precision="bf16")))
    train(vary("init", 77))
    torch.rand(5)
    np.random.default_rng(0).random(5)
    assert same(first, train(base))


def strip(records: list[EpochRecord]) -> list[EpochRecord]:
    """Leave out what differs between two trainings of one recipe: the time that they took."""
    return [structs.replace(record, seconds=0.0) for record in records]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_continued_run_equals_an_uninterrupted_one(
    base: Recipe, train: Callable[..., Outcome], tmp_path: Path, optimizer: str, stop_after: int
) -> None:
    recipe = replace(base, train=replace(base.train, epochs=4, optimizer=optimizer, lr=0.05))
    whole_records: list[EpochRecord] = []
    whole = train(recipe, on_epoch=whole_records.append)
    path, records = tmp_path / "checkpoint.safetensors", []
    policy = CheckpointPolicy(path=path, every_s=0.0, recipe_id=recipe.id)
    with pytest.raises(Stopped):
        train(recipe, on_epoch=records.append, checkpoints=policy, should_stop=lambda: len(records) >= stop_after)
    checkpoint = load_checkpoint(path, recipe_id=recipe.id)
    assert checkpoint is not None
    assert checkpoint.epoch == stop_after
    rest = train(recipe, on_epoch=records.append, start=checkpoint)
    assert same(whole, rest)
    assert [structs.replace(r, seconds=0.0) for r in records] == [
        structs.replace(r, seconds=0.0) for r in whole_records
    ]


@pytest.mark.parametrize("damage", [b"", b"junk", None])
def test_damaged_or_foreign_checkpoint_is_not_used(
    base: Recipe, train: Callable[..., Outcome], tmp_path: Path, damage: bytes | None
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    train(base, checkpoints=CheckpointPolicy(path=path, every_s=0.0, recipe_id=base.id))
    assert load_checkpoint(path, recipe_id=base.id) is not None
    assert load_checkpoint(path, recipe_id="0" * 16) is None
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    assert load_checkpoint(path, recipe_id=base.id) is None
    path.unlink()
    assert load_checkpoint(path, recipe_id=base.id) is None


def test_epochs_and_outcome_agree_with_the_logits(base: Recipe, train: Callable[..., Outcome], data: Dataset) -> None:
    records: list[EpochRecord] = []
    outcome = train(base, on_epoch=records.append)
    labels = data.test_labels.numpy()
    assert [record.epoch for record in records] == [1, 2]
    assert outcome.predictions.shape == (797, 10)
    assert outcome.predictions.dtype == np.float32
    assert outcome.test_accuracy == records[-1].test_accuracy == 100 * np.mean(outcome.predictions.argmax(1) == labels)
    expected = -special.log_softmax(outcome.predictions.astype(float), axis=1)[np.arange(797), labels].mean()
    assert outcome.test_cross_entropy == pytest.approx(expected)
    assert records[0].lr == pytest.approx(0.5 * 2 / 3)
    assert not outcome.diverged


def test_linear_model_does_not_notice_one_bit(base: Recipe, train: Callable[..., Outcome]) -> None:
    settings = TrainRecipe(epochs=15, batch_size=40, lr=0.1, warmup_epochs=1)
    plain = replace(base, model=LINEAR, train=settings)
    moved = train(replace(plain, bit=BitChange(seed=3)))
    other = train(plain)
    assert np.array_equal(moved.predictions.argmax(1), other.predictions.argmax(1))
    assert np.abs(moved.predictions - other.predictions).max() < 1e-4


def test_bit_change_is_recorded_exactly(base: Recipe, train: Callable[..., Outcome]) -> None:
    outcome = train(replace(base, bit=BitChange(seed=5)))
    bit = outcome.bit
    assert bit is not None
    assert bit.parameter == "conv1.weight"
    assert abs(int(bit.new_bits, 16) - int(bit.old_bits, 16)) == 1
    assert np.float32(bit.new) == np.nextafter(np.float32(bit.old), np.float32(np.inf if bit.ulps > 0 else -np.inf))
    assert bit.change == abs(bit.new - bit.old)


@pytest.mark.parametrize(
    ("bit", "said"),
    [
        (BitChange(seed=1, parameter="conv7.weight"), "conv1.weight"),
        (BitChange(seed=1, parameter="bn1.bias"), "has no effect"),
    ],
)
def test_bit_change_without_effect_is_refused(
    base: Recipe, train: Callable[..., Outcome], bit: BitChange, said: str
) -> None:
    with pytest.raises(PerturbationError, match=said):
        train(replace(base, bit=bit))


def test_more_ulps_move_further(base: Recipe, train: Callable[..., Outcome]) -> None:
    bits = [train(replace(base, bit=BitChange(seed=5, ulps=ulps))).bit for ulps in (1, 100)]
    distances = [abs(int(bit.new_bits, 16) - int(bit.old_bits, 16)) for bit in bits if bit is not None]
    assert distances == [1, 100]


def test_divergence_ends_the_run_as_a_result(base: Recipe, train: Callable[..., Outcome]) -> None:
    records: list[EpochRecord] = []
    wild = replace(
        base, model=LINEAR, train=TrainRecipe(epochs=50, batch_size=10, lr=999.0, momentum=0.999, warmup_epochs=0)
    )
    outcome = train(replace(wild, train=replace(wild.train, weight_decay=100.0)), on_epoch=records.append)
    assert outcome.diverged
    assert outcome.diverged_epoch == outcome.epochs == len(records) < 50
    assert not (math.isfinite(records[-1].train_loss or 0.0) and np.isfinite(outcome.predictions).all())


@pytest.mark.parametrize(
    ("value", "classes", "fine"),
    [
        (-math.inf, [1], True),
        (-math.inf, [0], True),
        (-math.inf, [0, 1, 2], False),
        (math.inf, [1], False),
        (math.inf, [0], False),
        (math.nan, [1], False),
        (math.nan, [0], False),
    ],
)
def test_masked_class_is_no_divergence(value: float, classes: list[int], fine: bool) -> None:
    logits = torch.zeros(4, 3)
    logits[2, classes] = value
    cross_entropy = float(torch.nn.functional.cross_entropy(logits, torch.zeros(4, dtype=torch.int64)))
    assert ImageEvaluation(logits, 50.0, cross_entropy).is_finite is fine


def test_gradients_are_clipped_to_a_norm(base: Recipe, train: Callable[..., Outcome]) -> None:
    settings = TrainRecipe(epochs=1, batch_size=90, lr=1.0, momentum=0.0, weight_decay=0.0, warmup_epochs=0)
    plain = replace(base, model=LINEAR, train=replace(settings, bias_bn_lr_scale=1.0))
    clipped = replace(plain, train=replace(plain.train, clip_grad_norm=1e-3))
    start, after = (train(replace(r, train=replace(r.train, lr=lr))) for r, lr in ((plain, 1e-30), (clipped, 1.0)))
    moved = sum(float((after.state[name] - start.state[name]).square().sum()) for name in start.state) ** 0.5
    assert moved == pytest.approx(1e-3, rel=1e-3)


def test_brain_floats_train_differently_and_repeatably(base: Recipe, train: Callable[..., Outcome]) -> None:
    brain = replace(base, train=replace(base.train, precision="bf16"))
    assert same(train(brain), train(brain))
    assert not same(train(base), train(brain))


def test_one_example_per_batch_and_one_epoch(base: Recipe, train: Callable[..., Outcome]) -> None:
    tiny = replace(base, model=LINEAR, train=TrainRecipe(epochs=1, batch_size=1, lr=0.1, warmup_epochs=0))
    assert train(tiny).epochs == 1
