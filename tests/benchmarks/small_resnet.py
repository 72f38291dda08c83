"""The quickstart's small residual network: processes of one thread each, against a plain loop with as many threads.

Convolutions on a CPU are not faster in packs; processes are.
"""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from measurement import Measurement
from torch.nn import functional

from engine.recipe import DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data import Dataset, load_data
from engine.training.models import BUILDERS, ModelShape
from engine.training.run import train_run

REPLICAS, EPOCHS, SLOTS = 16, 3, 2
WIDTH = 0.5
BUDGET = 1.4
RECIPE = Recipe(
    data=DataRecipe(preset="digits", augment="none"),
    model=ModelRecipe(preset="resnet6", width=WIDTH),
    train=TrainRecipe(epochs=EPOCHS, batch_size=100, lr=0.4, warmup_epochs=1),
    seeds=Seeds(init=1, shuffle=1, lowlevel=1),
    lowlevel="order",
    device="cpu",
)


def load() -> Dataset:
    return load_data(RECIPE.data, root=Path("/nonexistent"), search_path=())


def train_plainly(replicas: int) -> float:
    """Seconds of a loop as one would write it: normalised tensors in memory, a fresh order per epoch, plain SGD."""
    data = load()
    torch.set_num_threads(SLOTS)
    train, test = data.normalise(data.train_inputs), data.normalise(data.test_inputs)
    size = RECIPE.train.batch_size
    started = time.perf_counter()
    for _ in range(replicas):
        model = BUILDERS["resnet6"](ModelShape(input_shape=data.input_shape, classes=10, width=WIDTH))
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        for _ in range(EPOCHS):
            model.train()
            for part in torch.randperm(len(train)).split(size):
                loss = functional.cross_entropy(model(train[part]), data.train_labels[part])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            model.eval()
            with torch.no_grad():
                model(test).argmax(1)
    return time.perf_counter() - started


def train_slot(seeds: list[int]) -> float:
    """Seconds of one slot's runs."""
    data = load()
    started = time.perf_counter()
    for seed in seeds:
        train_run(replace(RECIPE, seeds=replace(RECIPE.seeds, init=seed)), data, device=torch.device("cpu"))
    return time.perf_counter() - started


def measure() -> Measurement:
    train_plainly(1)
    theirs = min(train_plainly(REPLICAS) for _ in range(2))
    context = multiprocessing.get_context("spawn")
    seeds = list(range(1, REPLICAS + 1))
    with ProcessPoolExecutor(SLOTS, mp_context=context) as pool:
        list(pool.map(train_slot, [[1]] * SLOTS))  # both processes are there and warm before either begins
        own = min(max(pool.map(train_slot, [seeds[0::2], seeds[1::2]])) for _ in range(2))
    per_epoch = REPLICAS * EPOCHS
    text = (
        f"resnet6 at width {WIDTH} on digits, {REPLICAS} replicas on {SLOTS} slots: {1e3 * own / per_epoch:.1f} ms "
        f"per replica and epoch; "
        f"a plain loop with {SLOTS} threads: {1e3 * theirs / per_epoch:.1f} ms: {theirs / own:.2f}x"
    )
    return Measurement(text, f"{BUDGET:g}x", theirs / own >= BUDGET)
