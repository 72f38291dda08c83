"""A few steps of a pack, to look at or to time."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from engine.recipe import Recipe
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.stacked.pack_run import make_recorder, prepare_pack
from engine.training.stacked.step import WARM_UP_STEPS
from engine.training.stopping import Stopped
from engine.training.tasks import stacked_images, stacked_text
from engine.training.trials.timer import TIMED_S, time_epoch

Task = stacked_images.ImagePack | stacked_text.TextPack


def number_replica(recipe: Recipe, seed: int) -> Recipe:
    """A replica with weights, and where batches are not shared with an order, of its own; its rate is never 0."""
    assert recipe.pack is not None, "only packs have replicas"
    seeds = replace(recipe.seeds, init=seed)
    if not recipe.pack.shared_batch:
        lowlevel = None if seeds.lowlevel is None else seed
        seeds = replace(seeds, shuffle=seed, lowlevel=lowlevel)
    train = replace(recipe.train, schedule="constant", warmup_epochs=0.0, cycles=None)
    return replace(recipe, train=train, seeds=seeds, bit=None, repeat=None)


def train_steps(task: Task, steps: int) -> None:
    """The first steps, of as many epochs as it takes."""
    taken = 0

    def stop() -> bool:
        nonlocal taken
        taken += 1
        return taken > steps

    with contextlib.suppress(Stopped):
        for epoch in itertools.count(1):
            replace(task, should_stop=stop).train_epoch(epoch)


def time_pack(
    recipe: Recipe,
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...],
    graphs: bool,
    timed_s: float = TIMED_S,
) -> float:
    """Seconds per epoch and replica of a full pack, training and evaluation, from some steps.

    Args:
        recipe: With a pack.
        data: The recipe's data, on the device.
        device: Where the steps are trained.
        search_path: Where a user's model is looked for.
        graphs: Whether steps on CUDA are recorded and replayed.
        timed_s: How long to train for; at least one step.
    """
    task = prepare_replicas(recipe, data, device=device, search_path=search_path, graphs=graphs)
    warm_up(task, device)
    return time_task(task, device, timed_s) / task.pack.size


def prepare_replicas(
    recipe: Recipe, data: Dataset | Corpus, *, device: torch.device, search_path: tuple[Path, ...], graphs: bool
) -> Task:
    """A full pack of a recipe."""
    assert recipe.pack is not None, "only packs have replicas"
    replicas = [number_replica(recipe, seed) for seed in range(1, recipe.pack.size + 1)]
    return prepare_task(replicas, data, device=device, search_path=search_path, graphs=graphs)


def warm_up(task: Task, device: torch.device) -> None:
    """Take the first steps, in which kernels are recorded, compiled or chosen, so that they are not timed."""
    train_steps(task, 1 if device.type == "cpu" else WARM_UP_STEPS + 2)


def prepare_task(
    recipes: Sequence[Recipe],
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...],
    graphs: bool,
) -> Task:
    """See `prepare_pack`."""
    recorder = make_recorder(device, graphs=graphs)
    return prepare_pack(recipes, data, device=device, search_path=search_path, recorder=recorder)


def time_task(task: Task, device: torch.device, timed_s: float = TIMED_S) -> float:
    """Time an epoch of a whole pack and its evaluation, in seconds; see `timer.time_epoch`."""
    return time_epoch(
        lambda stop: replace(task, should_stop=stop).train_epoch(1),
        task.evaluate_part,
        steps=task.count_steps(),
        device=device,
        timed_s=timed_s,
    )
