"""The quickstart's small residual network: processes of one thread each, against a plain loop with as many threads.

Convolutions on a CPU are not faster in packs; processes are.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from measurement import Measurement
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from engine.recipe import DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.datasets import Dataset, load_data
from engine.training.loop import train_runs
from engine.training.models.builders import BUILDERS, ModelShape

REPLICAS, EPOCHS, SLOTS = 16, 3, 2
WIDTH = 0.5
ROUNDS = 3
BUDGET = 1.4
RECIPE = Recipe(
    data=DataRecipe(preset="digits", augment="none"),
    model=ModelRecipe(preset="resnet6", width=WIDTH),
    train=TrainRecipe(epochs=EPOCHS, batch_size=100, lr=0.4, warmup_epochs=1),
    seeds=Seeds(init=1, shuffle=1, lowlevel=1),
    lowlevel="order",
    device="cpu",
)


Make = Callable[[Dataset, int], Callable[[], Iterable[Sequence[Tensor]]]]


def load() -> Dataset:
    return load_data(RECIPE.data, root=Path("/nonexistent"), search_path=())


def index_batches(data: Dataset, size: int) -> Callable[[], Iterable[Sequence[Tensor]]]:
    """Tensors in memory, indexed by a fresh order: as little as a loop can do."""
    inputs, labels = data.normalise(data.train_inputs), data.train_labels
    return lambda: ((inputs[part], labels[part]) for part in torch.randperm(len(inputs)).split(size))


def load_batches(data: Dataset, size: int) -> Callable[[], Iterable[Sequence[Tensor]]]:
    """What most would write: a DataLoader in the same process, over tensors that are normalised already."""
    examples = TensorDataset(data.normalise(data.train_inputs), data.train_labels)
    loader = DataLoader(examples, batch_size=size, shuffle=True)
    return lambda: loader


def train_plainly(replicas: int, make: Make) -> float:
    """Seconds of a plain loop: one process, as many threads as there are slots, plain SGD, a test at every end."""
    data = load()
    torch.set_num_threads(SLOTS)
    batches, test = make(data, RECIPE.train.batch_size), data.normalise(data.test_inputs)
    started = time.perf_counter()
    for _ in range(replicas):
        model = BUILDERS["resnet6"](ModelShape(input_shape=data.input_shape, classes=10, width=WIDTH))
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        for _ in range(EPOCHS):
            model.train()
            for inputs, labels in batches():
                loss = functional.cross_entropy(model(inputs), labels)
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
        train_runs([replace(RECIPE, seeds=replace(RECIPE.seeds, init=seed))], data, device=torch.device("cpu"))[0]
    return time.perf_counter() - started


def measure() -> Measurement:
    train_plainly(1, index_batches)
    context = multiprocessing.get_context("spawn")
    seeds = list(range(1, REPLICAS + 1))
    loading = indexing = own = float("inf")
    with ProcessPoolExecutor(SLOTS, mp_context=context) as pool:
        list(pool.map(train_slot, [[1]] * SLOTS))  # both processes are there and warm before either begins
        for _ in range(ROUNDS):  # in turns, so that a busy moment of the machine meets both
            loading = min(loading, train_plainly(REPLICAS, load_batches))
            indexing = min(indexing, train_plainly(REPLICAS, index_batches))
            own = min(own, max(pool.map(train_slot, [seeds[0::2], seeds[1::2]])))
    per_epoch = REPLICAS * EPOCHS
    text = (
        f"resnet6 at width {WIDTH} on digits, {REPLICAS} replicas on {SLOTS} slots: {1e3 * own / per_epoch:.1f} ms per "
        f"replica and epoch; a plain loop with {SLOTS} threads and a DataLoader: {1e3 * loading / per_epoch:.1f} ms: "
        f"{loading / own:.2f}x; the same on indexed tensors: {1e3 * indexing / per_epoch:.1f} ms: {indexing / own:.2f}x"
    )
    return Measurement(text, f"{BUDGET:g}x of the loop with a DataLoader", loading / own >= BUDGET)
