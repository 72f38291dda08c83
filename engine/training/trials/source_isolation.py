"""Tests in two steps, before a study is written, whether sources stay apart in a network that is not the project's.

The same examples in another order inside their minibatches are the same mathematics. So in float64, where rounding is
16 digits away, weights after two steps have to agree. And what an example draws must not depend on its company.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from engine.errors import summarise_error
from engine.plan.records import Leak
from engine.recipe import Recipe
from engine.training.compiler import spare_mode
from engine.training.data.batches import Batch
from engine.training.data.datasets import Dataset
from engine.training.memory import is_out_of_memory
from engine.training.optimiser import SGD
from engine.training.random.context import Draw
from engine.training.random.seeding import initialised_under, name_disturbed, seed_step
from engine.training.tasks.images import ImageTask
from engine.training.trials.workbench import Workbench

CLOSE = 1e-9
"""Distance between weights, relative to how far they moved, that rounding in float64 stays below."""

BATCH = 32
"""Examples of a step, as far as there are so many: batch norms over few numbers make much of rounding."""

LEAST_BATCH = 8

RATE = 0.01

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class _Trained:
    """Holds what two steps leave."""

    weights: Weights
    draws: list[list[Draw]]
    """Of each step."""
    unkeyed: tuple[str, ...]
    """Operations that drew from torch's own generators."""
    disturbed: tuple[str, ...]
    """Names of other generators that were drawn from."""


@spare_mode
class _Watch(TorchDispatchMode):
    """Notes which operations draw from torch's generators."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.names[func.overloadpacket.__name__] = None
        return func(*args, **(kwargs or {}))


def find_leak(recipe: Recipe, bench: Workbench) -> Leak | None:
    """Say how sources leak into each other in a recipe's network; None where they stay apart, as in the project's own.

    Args:
        recipe: With a pack or without; its augmentation, schedule and optimiser are left aside.
        bench: What the steps are trained on.
    """
    data = bench.data
    if recipe.model.draws is None or not isinstance(data, Dataset):
        return None
    size = _count_examples(recipe.train.batch_size, len(data.train_labels))
    task = bench.prepare_single(_simplify(recipe))
    assert isinstance(task, ImageTask), "the data are images"
    first, second = torch.arange(size), torch.arange(size, 2 * size)
    if len(data.train_labels) < 2 * size:  # a single example
        second = first
    try:
        with _holding(torch.float64):
            usual, again = (_train(_copy(task, bench), data, (first, second)) for _ in range(2))
            turned = _train(_copy(task, bench), data, (first.flip(0), second.roll(size // 2)))
            mixed = _draw(_copy(task, bench), data, torch.cat([first[size // 2 :], second[: size // 2]]))
    except Exception as cause:  # a user's model may raise anything in other numbers than those it was written for
        if is_out_of_memory(cause):
            raise
        reason = f"its network could not be tested in float64: {summarise_error(cause)}"
        return Leak(reason=reason, everywhere=True)
    return _judge(task, usual, again, turned, mixed)


def _count_examples(batch_size: int, examples: int) -> int:
    """Return how many examples a step sees: half of a minibatch takes as much memory in float64."""
    return max(1, min(BATCH, batch_size, max(batch_size // 2, LEAST_BATCH), examples // 2))


def _simplify(recipe: Recipe) -> Recipe:
    """Return a recipe of the same network, without what an own optimiser and schedule would add to the test."""
    train = replace(recipe.train, precision="fp32", weight_noise=None, averaging=None, cycles=None, schedule="constant")
    seeds = replace(recipe.seeds, stochastic=recipe.seeds.stochastic or 0)
    return replace(recipe, train=train, seeds=seeds, bit=None, onset=None, pack=None, compiled=None, evaluate=None)


@contextlib.contextmanager
def _holding(dtype: torch.dtype) -> Generator[None]:
    """Let new tensors hold numbers of a type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _copy(task: ImageTask, bench: Workbench) -> ImageTask:
    """Return a task with a network of its own, in float64, with the same weights."""
    masks = task.network.masks
    try:
        own = replace(task, network=copy.deepcopy(task.network, memo={id(masks): masks}))
    except Exception:  # a user's network may hold what cannot be copied, such as a weight that is computed from others
        with _holding(torch.float32):
            own = bench.prepare_single(task.recipe)
        assert isinstance(own, ImageTask), "the data are images"
    own.model.double().train()
    own.key_masks(1)
    return own


def _cut(data: Dataset, ids: Tensor) -> Batch:
    ids = ids.to(data.train_labels.device)
    return Batch(data.normalise(data.train_inputs[ids]).double(), data.train_labels[ids], ids)


def _train(own: ImageTask, data: Dataset, batches: Sequence[Tensor]) -> _Trained:
    """Train a task for some steps."""
    seed, watch = own.recipe.seeds.stochastic or 0, _Watch()
    masks = own.network.masks
    draws: list[list[Draw]] = []
    optimiser = SGD(own.model.parameters(), lr=RATE)
    try:
        with initialised_under(seed), name_disturbed() as disturbed:
            for step, ids in enumerate(batches):
                seed_step(seed, 1, step)
                batch, masks.log = _cut(data, ids), []
                draws.append(masks.log)
                with watch:
                    logits = own.classify(batch, step)
                optimiser.zero_grad(set_to_none=True)
                functional.cross_entropy(logits, batch.labels).backward()
                optimiser.step()
    finally:
        masks.log = None
    return _Trained(own.model.state_dict(), draws, tuple(watch.names), tuple(disturbed))


def _draw(own: ImageTask, data: Dataset, ids: Tensor) -> list[Draw]:
    """Return what a forward pass of another step draws for some examples."""
    seed = own.recipe.seeds.stochastic or 0
    masks = own.network.masks
    masks.log = draws = []
    try:
        with initialised_under(seed), torch.no_grad():
            own.classify(_cut(data, ids), 1)
    finally:
        masks.log = None
    return draws


def _judge(task: ImageTask, usual: _Trained, again: _Trained, turned: _Trained, mixed: list[Draw]) -> Leak | None:
    """Return what the trainings show, the plainest reason first."""
    start = task.model.state_dict()
    if usual.disturbed:
        return Leak(
            reason=f"its network draws with {' and '.join(usual.disturbed)}, which no seed reaches", everywhere=True
        )
    if not _measure_distance(start, usual.weights, again.weights) <= CLOSE:
        reason = "its network ends elsewhere when the same two steps are taken again: it draws what no seed reaches"
        return Leak(reason=reason, everywhere=True)
    alike = all(map(_draw_alike, usual.draws, turned.draws))
    if not alike or not _draw_for_examples(usual.draws[0], mixed):
        return Leak(reason="its network draws more, less or otherwise for an example in other company", everywhere=True)
    distance = _measure_distance(start, usual.weights, turned.weights)
    if distance <= CLOSE:
        return None
    reason = (
        f"{_name_cause(usual)}: another order inside two minibatches moves its weights by {distance:.1e} of their way"
    )
    return Leak(reason=reason, everywhere=False)


def _draw_alike(one: Sequence[Draw], other: Sequence[Draw]) -> bool:
    """Tell whether two forward passes made the same draws, for whatever examples."""
    return [draw.kind for draw in one] == [draw.kind for draw in other]


def _draw_for_examples(first: Sequence[Draw], mixed: Sequence[Draw]) -> bool:
    """Tell whether the second half of a batch drew the same as at the beginning of another batch, in another step."""
    if not _draw_alike(first, mixed):
        return False
    pairs = [(one.integers, other.integers) for one, other in zip(first, mixed, strict=True) if one.by_example]
    return all(torch.equal(one[len(one) // 2 :], other[: len(one) - len(one) // 2]) for one, other in pairs)


def _name_cause(trained: _Trained) -> str:
    """Say what may make a network depend on the order of a batch, as far as that is known."""
    if trained.unkeyed:
        return f"its network draws with {', '.join(trained.unkeyed)} by place in the batch"
    draws = [draw for step in trained.draws for draw in step if not draw.by_example]
    whole = dict.fromkeys(f"{draw.name} of shape {tuple(draw.shape)}" for draw in draws)
    if whole:
        return f"its network draws {', '.join(whole)} for a batch as a whole"
    return "its network treats an example by its place in the batch"


def _measure_distance(start: Weights, one: Weights, other: Weights) -> float:
    """Return the distance between two ends, relative to how far the first one is from the start."""
    names = [name for name, value in start.items() if value.is_floating_point()]
    apart = sum(float((one[name] - other[name]).square().sum()) for name in names)
    moved = sum(float((one[name] - start[name].double()).square().sum()) for name in names)
    return (apart / moved) ** 0.5 if moved else float(apart > 0)
