"""Counts what a recipe's network does with an image: arithmetic, and bytes to and from memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from engine.catalog.work import Work
from engine.recipe import Recipe
from engine.training.data.datasets import Dataset
from engine.training.evaluation import EVALUATION_BATCH
from engine.training.trials.step_times import train_steps
from engine.training.trials.workbench import Workbench

BATCHES = (4, 8)
"""Images of the two batches that are compared: what they differ by is an image's, the rest is the batch's."""

GATHERING = (torch.ops.aten.index_select, torch.ops.aten.index, torch.ops.aten.embedding)
"""Operations that read of their first tensor only what they return."""


class Traffic(TorchDispatchMode):
    """Adds up the bytes that operations read and write, if each reads its inputs and writes its outputs once."""

    def __init__(self) -> None:
        """Begin at nothing."""
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do an operation, and count it unless it only looks at memory in another way."""
        result = func(*args, **(kwargs or {}))
        if func.is_view:
            return result
        read = [t for t in _pytree.tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        made = [t for t in _pytree.tree_leaves(result) if isinstance(t, Tensor)]
        if func.overloadpacket in GATHERING:
            read[0] = made[0]
        self.total += sum(t.numel() * t.element_size() for t in (*read, *made))
        return result


def count_work(recipe: Recipe, bench: Workbench) -> Work | None:
    """Count what a run does with an image, from two training steps and two test batches; None for text.

    Args:
        recipe: The run's; a pack that it names is left aside.
        bench: What the steps are taken on.
    """
    data = bench.data
    if not isinstance(data, Dataset):
        return None
    few, many = (min(size, len(data.train_labels), len(data.test_labels)) for size in BATCHES)
    counts = [(_count_step(recipe, bench, size), _count_test(recipe, bench, data, size)) for size in (few, many)]
    (train_flops, train_bytes), (_, step_bytes) = _split([train for train, _ in counts], few, many)
    (test_flops, test_bytes), (_, pass_bytes) = _split([test for _, test in counts], few, many)
    return Work(
        train_flops=train_flops,
        train_bytes=train_bytes,
        step_bytes=step_bytes,
        test_flops=test_flops,
        test_bytes=test_bytes + pass_bytes / EVALUATION_BATCH,
    )


Count = tuple[float, float]
"""Operations, and bytes."""


def _split(counts: Sequence[Count], few: int, many: int) -> tuple[Count, Count]:
    """Return what an image takes, and what a batch takes whatever its size, from batches of two sizes."""
    (flops, moved), (more_flops, more_moved) = counts
    if many == few:
        return (flops / few, moved / few), (0.0, 0.0)
    image = ((more_flops - flops) / (many - few), (more_moved - moved) / (many - few))
    return image, (max(0.0, flops - image[0] * few), max(0.0, moved - image[1] * few))


def _count_step(recipe: Recipe, bench: Workbench, size: int) -> Count:
    task = bench.prepare_single(_cut(recipe, size))
    return _count(lambda: train_steps(task, 1))


def _count_test(recipe: Recipe, bench: Workbench, data: Dataset, size: int) -> Count:
    short = replace(data, test_inputs=data.test_inputs[:size], test_labels=data.test_labels[:size])
    task = replace(bench, data=short).prepare_single(_cut(recipe, size))
    return _count(lambda: task.evaluate(1))


def _cut(recipe: Recipe, size: int) -> Recipe:
    """Return a recipe of minibatches of a size, without what comes at the end of a training alone."""
    train = replace(recipe.train, batch_size=size, averaging=None, cycles=None, schedule="constant")
    return replace(recipe, train=train, pack=None, evaluate=None, bit=None, onset=None)


def _count(work: Callable[[], object]) -> Count:
    with FlopCounterMode(display=False) as flops, Traffic() as traffic:
        work()
    return float(flops.get_total_flops()), float(traffic.total)
