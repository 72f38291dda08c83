"""Which share of a training step on one CPU thread is arithmetic, for every preset, alone and in a pack.

Operations of a step are counted as they reach torch's kernels, with the arithmetic of products and convolutions and the
bytes that all others read and write. At the rates that this machine reaches in a large product and a copy in the cache,
measured in the same run, they would take so long; the rest of a step is finding out what to call, calling it, and
kernels on too few numbers.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from measurement import Measurement
from torch.utils.flop_counter import flop_registry

from engine.catalog.work import Load
from engine.recipe import DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.allocator import keep_freed_memory
from engine.training.data.datasets import Dataset, load_data
from engine.training.models.builders import BUILDERS
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.tasks.preparation import prepare
from engine.training.trials.step_times import train_steps
from engine.training.trials.work import Traffic, make_flop_counter

PACK = 4
STEPS, TIMED_S, ROUNDS = (1, 3), 3.0, 3
SIZE, COPIED = 1024, 2**15
"""Rows of the large product, and numbers of the copy, which fit into a core's cache."""
IMAGES = 200
LARGE = ("resnet18", "vgg11")
SIGNALS = ("linear", "hidden-fc")
"""On MNIST-1D in batches of 100; the others on CIFAR-shaped images in batches of 50."""


@dataclass(frozen=True)
class Rates:
    flop: float
    """Of a large product, per second."""
    bytes: float
    """Read and written by a copy, per second."""


def measure_rates() -> Rates:
    a, b = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    source, target = torch.randn(COPIED), torch.empty(COPIED)
    return Rates(2 * SIZE**3 / time_each(lambda: a @ b), 8 * COPIED / time_each(lambda: target.copy_(source)))


def time_each(work: Callable[[], object]) -> float:
    """Return the processor's seconds of some work, at its best in some rounds."""
    shortest = float("inf")
    for _ in range(ROUNDS):
        used, started, times = time.process_time(), time.perf_counter(), 0
        while time.perf_counter() - started < TIMED_S / ROUNDS:
            work()
            times += 1
        shortest = min(shortest, (time.process_time() - used) / times)
    return shortest


def make_recipes(preset: str, replicas: int) -> list[Recipe]:
    on_signals = preset in SIGNALS
    recipe = Recipe(
        data=DataRecipe(preset="mnist1d" if on_signals else "synthetic"),
        model=ModelRecipe(preset=preset),
        train=TrainRecipe(epochs=10_000, batch_size=100 if on_signals else 50, schedule="constant", warmup_epochs=0.0),
        seeds=Seeds(init=1, shuffle=1, lowlevel=1),
        lowlevel="order",
        device="cpu",
        pack=None if replicas == 1 else PackRecipe(size=replicas, shared_batch=True),
    )
    return [replace(recipe, seeds=replace(recipe.seeds, init=seed)) for seed in range(1, 1 + replicas)]


@dataclass(frozen=True)
class Share:
    """What a step of a preset costs, for all replicas together."""

    load: Load
    """Its operations are counted as kernels, and the bytes of all but products and convolutions."""
    used_s: float
    """Of the processor."""

    def describe(self, rates: Rates) -> str:
        """Return the figures, and the share of the time that is not arithmetic."""
        load = self.load
        needed = load.flops / rates.flop + load.moved / rates.bytes
        figures = f"{load.kernels:10.0f} {load.flops / 1e6:9.1f} {load.moved / 1e6:8.2f} {1e3 * self.used_s:9.3f}"
        return f"{figures} {100 * (1 - needed / self.used_s):5.0f} %"


def count(recipes: Sequence[Recipe], data: Dataset) -> Share:
    """Count and time the steps of a training; what an epoch needs once is timed with them, and not counted."""
    task = prepare(recipes, data, device=torch.device("cpu"), search_path=())
    train_steps(task, 2)
    loads: list[Load] = []
    for steps in STEPS:
        with make_flop_counter() as flops, Traffic(without=flop_registry) as traffic:
            train_steps(task, steps)
        loads.append(Load(flops=flops.get_total_flops(), moved=traffic.total, kernels=traffic.kernels))
    step = Load().plus(loads[1].plus(loads[0], -1), 1 / (STEPS[1] - STEPS[0]))
    used_s = time_each(lambda: train_steps(task, task.count_steps())) / task.count_steps()
    return Share(step, used_s)


def measure(presets: Sequence[str] = tuple(BUILDERS)) -> Measurement:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    set_kernels("order", "fp32")
    use_one_thread()
    keep_freed_memory()
    rates = measure_rates()
    lines = [f"{'preset':16} {'replicas':8} {'operations':>10} {'MFLOP':>9} {'MB':>8} {'ms':>9} {'else':>7}"]
    for preset in presets:
        for replicas in (1, PACK):
            recipes = make_recipes(preset, replicas)
            data = load_data(recipes[0].data, root=Path("/nonexistent"), search_path=())
            if preset not in SIGNALS:
                kept = IMAGES if preset not in LARGE else IMAGES // 4
                data = replace(data, train_inputs=data.train_inputs[:kept], train_labels=data.train_labels[:kept])
            lines.append(f"{preset:16} {replicas:8} {count(recipes, data).describe(rates)}")
            print(lines[-1], flush=True)
    head = f"a step on one thread, at {rates.flop / 1e9:.0f} GFLOP/s and {rates.bytes / 1e9:.1f} GB/s:"
    return Measurement(head + "".join(f"\n    {line}" for line in lines), "none: what there is to gain", None)


if __name__ == "__main__":
    print(measure(sys.argv[1:] or tuple(BUILDERS)).text)
