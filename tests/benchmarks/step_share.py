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
from typing import Any

import torch
from measurement import Measurement
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from engine.recipe import DataRecipe, ModelRecipe, PackRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.datasets import Dataset, load_data
from engine.training.models.builders import BUILDERS
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.tasks.preparation import prepare
from engine.training.trials.step_times import train_steps

PACK = 4
STEPS, TIMED_S, ROUNDS = (1, 3), 3.0, 3
SIZE, COPIED = 1024, 2**15
"""Rows of the large product, and numbers of the copy, which fit into a core's cache."""
IMAGES = 200
LARGE = ("resnet18", "vgg11")
SIGNALS = ("linear", "hidden-fc")
"""On MNIST-1D in batches of 100; the others on CIFAR-shaped images in batches of 50."""


class Counter(TorchDispatchMode):
    """Counts operations, their arithmetic, and the bytes of those that are no products."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.flop, self.bytes = 0, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.is_view:
            return result
        self.operations += 1
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            self.flop += count(*args, **(kwargs or {}), out_val=result)
        else:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result


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

    operations: float
    flop: float
    bytes: float
    used_s: float
    """Of the processor."""

    def describe(self, rates: Rates) -> str:
        """Return the figures, and the share of the time that is not arithmetic."""
        needed = self.flop / rates.flop + self.bytes / rates.bytes
        figures = f"{self.operations:10.0f} {self.flop / 1e6:9.1f} {self.bytes / 1e6:8.2f} {1e3 * self.used_s:9.3f}"
        return f"{figures} {100 * (1 - needed / self.used_s):5.0f} %"


def count(recipes: Sequence[Recipe], data: Dataset) -> Share:
    """Count and time the steps of a training; what an epoch needs once is timed with them, and not counted."""
    task = prepare(recipes, data, device=torch.device("cpu"), search_path=())
    train_steps(task, 2)
    counters = Counter(), Counter()
    for counter, steps in zip(counters, STEPS, strict=True):
        with counter:
            train_steps(task, steps)
    one, other = counters
    more = STEPS[1] - STEPS[0]
    used_s = time_each(lambda: train_steps(task, task.count_steps())) / task.count_steps()
    return Share(
        (other.operations - one.operations) / more,
        (other.flop - one.flop) / more,
        (other.bytes - one.bytes) / more,
        used_s,
    )


def measure(presets: Sequence[str] = tuple(BUILDERS)) -> Measurement:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    set_kernels("order", "fp32")
    use_one_thread()
    rates = measure_rates()
    lines = [f"{'preset':16} {'replicas':8} {'operations':>10} {'MFLOP':>9} {'MB':>8} {'ms':>9} {'else':>7}"]
    for preset in presets:
        alone = 0.0
        for replicas in (1, PACK):
            recipes = make_recipes(preset, replicas)
            data = load_data(recipes[0].data, root=Path("/nonexistent"), search_path=())
            if preset not in SIGNALS:
                kept = IMAGES if preset not in LARGE else IMAGES // 4
                data = replace(data, train_inputs=data.train_inputs[:kept], train_labels=data.train_labels[:kept])
            share = count(recipes, data)
            alone = share.flop if replicas == 1 else alone
            # torch's formula counts the gradients of grouped convolutions as those of whole ones.
            share = replace(share, flop=replicas * alone)
            lines.append(f"{preset:16} {replicas:8} {share.describe(rates)}")
            print(lines[-1], flush=True)
    head = f"a step on one thread, at {rates.flop / 1e9:.0f} GFLOP/s and {rates.bytes / 1e9:.1f} GB/s:"
    return Measurement(head + "".join(f"\n    {line}" for line in lines), "none: what there is to gain", None)


if __name__ == "__main__":
    print(measure(sys.argv[1:] or tuple(BUILDERS)).text)
