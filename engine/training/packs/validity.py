"""Whether packs may stand for single runs on this machine: a self-test of a few steps, before a study is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from engine.recipe import Recipe
from engine.training.batches import steps_per_epoch
from engine.training.data import Dataset

from .run import PackTraining, prepare_pack

STEPS = 3
TIMED_S = 1.0

Weights = list[dict[str, Tensor]]


@dataclass(frozen=True)
class PackReport:
    """What the self-test of a pack saw."""

    slot_invariant: bool
    """The same run has the same bits in every slot, whatever is trained beside it."""
    size_invariant: bool
    """… and in a pack of one: then packs of all sizes are one protocol here."""
    seconds_per_epoch: float | None
    """Training and evaluation of one run on one slot: its share of the pack's time. None where it was not timed."""


def check_pack(
    recipe: Recipe, data: Dataset, *, device: torch.device, search_path: tuple[Path, ...], timed: bool
) -> PackReport:
    """Train the first steps of some replicas in other slots, in other company, and by themselves.

    Args:
        recipe: With a pack.
        data: The recipe's data, on the device.
        device: Where the steps are trained.
        search_path: Where a user's model is looked for.
        timed: Whether to time a step.
    """
    assert recipe.pack is not None, "only packs are tested"
    size = recipe.pack.size
    replicas = [_number(recipe, seed) for seed in range(1, size + 1)]

    def weights(recipes: Sequence[Recipe]) -> Weights:
        training = prepare_pack(recipes, data, device=device, search_path=search_path)
        _train_steps(training, STEPS)
        return [training.pack.state_of(slot) for slot in range(size if recipes[0].pack == recipe.pack else 1)]

    usual = weights(replicas)
    moved = weights([*replicas[1:], replicas[0]])
    filled = weights(replicas[:1])
    one = weights([replace(replicas[0], pack=replace(recipe.pack, size=1))])
    slots = all(_equal(usual[slot], moved[slot - 1]) for slot in range(size))
    return PackReport(
        slot_invariant=slots and all(_equal(usual[0], other) for other in filled),
        size_invariant=_equal(usual[0], one[0]),
        seconds_per_epoch=_time_epoch(replicas, data, device, search_path) if timed else None,
    )


def _number(recipe: Recipe, seed: int) -> Recipe:
    """A replica with weights, and where batches are not shared with an order, of its own."""
    assert recipe.pack is not None, "only packs are tested"
    seeds = replace(recipe.seeds, init=seed)
    if not recipe.pack.shared_batch:
        seeds = replace(seeds, shuffle=seed)
    return replace(recipe, seeds=seeds, bit=None, repeat=None)


def _train_steps(training: PackTraining, steps: int) -> None:
    training.pack.train()
    for step, (inputs, labels) in enumerate(training.batches(1)):
        if step == steps:
            break
        training.train_step(inputs, labels, rate=training.recipe.train.lr)


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def _time_epoch(
    replicas: Sequence[Recipe], data: Dataset, device: torch.device, search_path: tuple[Path, ...]
) -> float:
    training = prepare_pack(replicas, data, device=device, search_path=search_path)
    _train_steps(training, 1)
    started, taken = time.perf_counter(), 0
    training.pack.train()
    for inputs, labels in training.batches(1):
        training.train_step(inputs, labels, rate=training.recipe.train.lr)
        taken += 1
        if time.perf_counter() - started > TIMED_S:
            break
    _wait_for(device)
    steps = steps_per_epoch(len(data.train_labels), training.recipe.train.batch_size)
    train_s = (time.perf_counter() - started) / taken * steps
    part = data.test_inputs[: training.evaluation_batch]
    started = time.perf_counter()
    training.pack.eval()
    with torch.no_grad():
        training.pack(data.normalise(part), shared=True)
    _wait_for(device)
    test_s = (time.perf_counter() - started) * len(data.test_labels) / len(part)
    return (train_s + test_s) / len(replicas)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
