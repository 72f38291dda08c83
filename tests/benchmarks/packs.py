"""Replicas in packs, on two slots, against one training after another as the published code does it.

The baseline is PIL transforms in a DataLoader with two workers, one model, plain SGD, and an evaluation of the test
set at the end of the epoch. Data are CIFAR-shaped, a fifth of CIFAR-10's size on both sides.
"""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from input_pipeline import BATCH_SIZE, RECIPE, PilImages
from measurement import Measurement, best_s
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from engine.recipe import ModelRecipe, PackRecipe, Recipe
from engine.training.allocator import keep_freed_memory
from engine.training.data.datasets import Dataset, load_data
from engine.training.models.builders import BUILDERS, ModelShape
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.tasks.preparation import prepare_pack

TRAIN, TEST = 10_000, 2_000
SLOTS = 2
PACKS = {"linear": 50, "hidden-fc": 4}
"""Replicas of a slot."""
BUDGETS = {"linear": 50.0, "hidden-fc": 2.0}


def make_data() -> Dataset:
    data = load_data(RECIPE.data, root=Path("/nonexistent"), search_path=())
    return replace(
        data,
        train_inputs=data.train_inputs[:TRAIN],
        train_labels=data.train_labels[:TRAIN],
        test_inputs=data.test_inputs[:TEST],
        test_labels=data.test_labels[:TEST],
    )


def time_published(preset: str) -> float:
    """Seconds of one replica's epoch."""
    data = make_data()
    torch.set_num_threads(SLOTS)
    train = DataLoader(PilImages(data), batch_size=BATCH_SIZE, shuffle=True, num_workers=2, persistent_workers=True)
    model = BUILDERS[preset](ModelShape(input_shape=(3, 32, 32), classes=10, width=1.0))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    def epoch() -> None:
        model.train()
        for inputs, labels in train:
            loss = functional.cross_entropy(model(inputs), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        _evaluate(model, data)

    list(train)
    return best_s(epoch, 3)


def _evaluate(model: nn.Module, data: Dataset) -> None:
    """On tensors that are there already: loading the test set is not counted against the baseline."""
    model.eval()
    with torch.no_grad():
        for start in range(0, TEST, BATCH_SIZE):
            model(data.normalise(data.test_inputs[start : start + BATCH_SIZE])).argmax(1)


def time_slot(preset: str, first_seed: int) -> float:
    """Seconds of an epoch of one slot's pack."""
    size = PACKS[preset]
    recipe = replace(RECIPE, model=ModelRecipe(preset=preset), pack=PackRecipe(size=size, shared_batch=True))
    set_kernels("order", "fp32")
    use_one_thread()
    keep_freed_memory()
    training = prepare_pack(
        [_vary(recipe, first_seed + k) for k in range(size)], make_data(), device=torch.device("cpu")
    )

    def epoch() -> None:
        training.train_epoch(1)
        training.evaluate(1)

    return best_s(epoch, 3)


def _vary(recipe: Recipe, seed: int) -> Recipe:
    return replace(recipe, seeds=replace(recipe.seeds, init=seed))


def measure(preset: str) -> Measurement:
    theirs = time_published(preset)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(SLOTS, mp_context=context) as pool:
        list(pool.map(time.sleep, [0.5] * SLOTS))  # both processes are there before either begins
        taken = list(pool.map(time_slot, [preset] * SLOTS, range(1, 1 + SLOTS * PACKS[preset], PACKS[preset])))
    replicas = SLOTS * PACKS[preset]
    own = max(taken) / replicas
    text = (
        f"{preset}, init arm, {replicas} replicas on {SLOTS} slots: {1e3 * own:.1f} ms per replica and epoch of "
        f"{TRAIN:,} images; as published: {1e3 * theirs:.0f} ms: {theirs / own:.1f}x"
    )
    return Measurement(text, f"{BUDGETS[preset]:g}x", theirs / own >= BUDGETS[preset])


def measure_linear() -> Measurement:
    return measure("linear")


def measure_hidden_fc() -> Measurement:
    return measure("hidden-fc")
