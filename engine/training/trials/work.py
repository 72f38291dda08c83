"""Counts what a recipe's network does with an image: arithmetic, and bytes to and from memory."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from engine.catalog.work import Load, Work
from engine.recipe import Recipe
from engine.training.data.datasets import Dataset
from engine.training.evaluation import EVALUATION_BATCH
from engine.training.tasks.images import ImageTask
from engine.training.tasks.text import TextTask
from engine.training.trials.step_times import train_steps
from engine.training.trials.workbench import Workbench

BATCHES = (4, 8)
"""Images of the two batches that are compared: what they differ by is an image's, the rest is the batch's."""

GATHERING = (torch.ops.aten.index_select, torch.ops.aten.index, torch.ops.aten.embedding)
"""Operations that read of their first tensor only what they return."""


class Traffic(TorchDispatchMode):
    """Counts operations, and their bytes, if each reads its inputs and writes its outputs once."""

    def __init__(self, *, without: Container[object] = ()) -> None:
        """Begin at nothing.

        Args:
            without: Operations whose bytes are left out.
        """
        super().__init__()
        self.without = without
        self.total = 0
        self.kernels = 0
        self.counting = True
        """Whether operations count as kernels; the optimiser's are fused into one on a GPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do an operation, and count it unless it only looks at memory in another way."""
        result = func(*args, **(kwargs or {}))
        if func.is_view:
            return result
        self.kernels += self.counting
        if func.overloadpacket in self.without:
            return result
        read = [t for t in _pytree.tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        made = [t for t in _pytree.tree_leaves(result) if isinstance(t, Tensor)]
        if func.overloadpacket in GATHERING:
            read[0] = made[0]
        self.total += sum(t.numel() * t.element_size() for t in (*read, *made))
        return result


def make_flop_counter() -> FlopCounterMode:
    """Return torch's counter of arithmetic, with the gradients of convolutions in groups as they are."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _count_gradients})


def _count_gradients(
    grad_shape: list[int], x_shape: list[int], weight_shape: list[int], *settings: Any, **_: object
) -> int:
    """Count the arithmetic of a convolution's gradients; torch's own formula leaves out the groups.

    Args:
        grad_shape: Of the output, and its gradient.
        x_shape: Of the input.
        weight_shape: Of the weights, which has a group's channels alone.
        settings: The operation's other arguments; the last one says which of three gradients are wanted.
    """
    transposed, wanted = bool(settings[4]), settings[-1]
    # Each is a sum of as many products as the output; that of the bias has none.
    return sum(wanted[:2]) * conv_flop_count(x_shape, weight_shape, grad_shape, transposed=transposed)


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
    steps = [_count_step(recipe, bench, size) for size in (few, many)]
    passes = [_count_pass(recipe, bench, data, size) for size in (few, many)]
    train, test = (_split(few, many, *loads) for loads in (steps, passes))
    return Work(
        train_flops=train.image.flops,
        train_bytes=train.image.moved,
        step_bytes=train.batch_moved,
        test_flops=test.image.flops,
        test_bytes=test.image.moved + test.batch_moved / EVALUATION_BATCH,
        step_kernels=steps[1].kernels,
        test_kernels=passes[1].kernels / EVALUATION_BATCH,
    )


@dataclass(frozen=True)
class _Split:
    """Tells what belongs to an image, and which bytes to a batch whatever its size."""

    image: Load
    batch_moved: float


def _split(few: int, many: int, less: Load, more: Load) -> _Split:
    if many == few:
        return _Split(Load().plus(less, 1 / few), 0.0)
    image = more.plus(less, -1.0)
    image = Load().plus(image, 1 / (many - few))
    return _Split(image, max(0.0, less.moved - image.moved * few))


def _count_step(recipe: Recipe, bench: Workbench, size: int) -> Load:
    task = _prepare(recipe, bench, size)
    return _count(lambda: train_steps(task, 1), task.optimiser)


def _count_pass(recipe: Recipe, bench: Workbench, data: Dataset, size: int) -> Load:
    short = replace(data, test_inputs=data.test_inputs[:size], test_labels=data.test_labels[:size])
    task = _prepare(recipe, replace(bench, data=short), size)
    return _count(lambda: task.evaluate(1), task.optimiser)


def _prepare(recipe: Recipe, bench: Workbench, size: int) -> ImageTask | TextTask:
    """Prepare a network that autograd differentiates, as on a GPU, whatever a CPU would do."""
    task = bench.prepare_single(_cut(recipe, size))
    if isinstance(task, ImageTask):
        task.dense = None
    return task


def _cut(recipe: Recipe, size: int) -> Recipe:
    """Return a recipe of minibatches of a size, without what comes at the end of a training alone."""
    train = replace(recipe.train, batch_size=size, averaging=None, cycles=None, schedule="constant")
    return replace(recipe, train=train, pack=None, compiled=None, evaluate=None, bit=None, onset=None)


def _count(work: Callable[[], object], optimiser: torch.optim.Optimizer) -> Load:
    """Return what some work takes; an optimiser's step is one kernel of it."""
    with make_flop_counter() as flops, Traffic() as traffic:

        def begin(*_: Any) -> None:
            traffic.kernels += 1
            traffic.counting = False

        def end(*_: Any) -> None:
            traffic.counting = True

        hooks = optimiser.register_step_pre_hook(begin), optimiser.register_step_post_hook(end)
        work()
        for hook in hooks:
            hook.remove()
    return Load(flops=float(flops.get_total_flops()), moved=float(traffic.total), kernels=float(traffic.kernels))
