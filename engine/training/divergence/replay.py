"""Replays the step in which two runs part under a tracer, and names the first operation that does not agree."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from engine.recipe import Recipe
from engine.study.divergence_record import Batches, Kind, Operation, Tensors
from engine.tracing import comparison
from engine.tracing.comparison import Verdict
from engine.tracing.tracer import Tracer
from engine.training.checkpoint import Checkpoint
from engine.training.data.batches import Batch, epoch_batches
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.divergence.distances import compare_tensors, find_network
from engine.training.divergence.lockstep import Parted
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.stopping import Stopped
from engine.training.tasks.images import ImageTask
from engine.training.tasks.preparation import prepare
from engine.training.tasks.stacked_images import StackedImageTask
from engine.training.tasks.task import Task

PACKED = "template."
"""Begins the name of every module of a pack."""

SHOWN_EXAMPLES = 8
"""Examples of a minibatch that are named."""


@dataclass(frozen=True)
class Cause:
    """Says what differs first."""

    kind: Kind
    operation: Operation | None = None
    tensors: Tensors | None = None
    batches: Batches | None = None
    operations: int = 0
    """How many were traced."""


@dataclass(frozen=True)
class Replay:
    """Trains the epoch of one run again, and traces one step of it."""

    recipe: Recipe
    data: Dataset | Corpus
    device: torch.device
    search_path: tuple[Path, ...]
    start: Checkpoint | None
    """The state at the end of the epoch before; None at the beginning."""

    def trace(self, epoch: int, step: int, *, watch: int | None = None) -> Tracer:
        """Return the trace of a step; of the watched operation with its tensors."""
        set_kernels(self.recipe.at(epoch).lowlevel, self.recipe.train.precision)
        use_one_thread()
        task = prepare([self.recipe], self.data, device=self.device, search_path=self.search_path, graphs=False)
        if self.start is not None:
            task.restore([self.start])
        return trace_step(task, epoch, step, watch=watch)


def trace_step(task: Task[object], epoch: int, step: int, *, watch: int | None = None) -> Tracer:  # type: ignore[type-var]
    """Train an epoch up to the end of a step, which is traced.

    Args:
        task: In its state at the end of the epoch before.
        epoch: The epoch.
        step: The step of it, from 0.
        watch: The number of the operation whose tensors are kept.
    """
    if isinstance(task, ImageTask | StackedImageTask):
        task.dense = None  # autograd has the same bits, and its operations belong to modules that have names
    if isinstance(task, ImageTask):
        task.program = None  # what is compiled has no operations that could be watched
    tracer, asked = Tracer(find_network(task), watch=watch), -1
    with contextlib.ExitStack() as traced, contextlib.suppress(Stopped):

        def stand() -> bool:
            nonlocal asked
            asked += 1
            if asked == step:
                traced.enter_context(tracer)
            return asked > step

        task.train_epoch(epoch, stand)
    return tracer


def find_cause(replays: Sequence[Replay], parted: Parted) -> Cause:
    """Trace the step in which two runs part, once to find the first operation, and once more to keep its tensors."""
    assert parted.step is not None, "whoever parts before a step has no operation in which that happens"
    epoch, step = parted.epoch, parted.step
    one, other = replays
    batches = compare_minibatches((one.recipe, other.recipe), one.data, epoch, step)
    first, second = (replay.trace(epoch, step).records for replay in replays)
    verdict = comparison.compare(first, second)
    counted = max(len(first), len(second))
    if verdict is None:
        return Cause("untraced", batches=batches, operations=counted)
    tensors = None
    if verdict.place:
        own, others = (replay.trace(epoch, step, watch=verdict.number).kept for replay in replays)
        apart = {name: found for name, one in own.items() if (found := compare_tensors(one, others.get(name)))}
        verdict = comparison.reconsider(verdict, apart)
        tensors = apart.get(verdict.place)
    kind = "data" if batches is not None and verdict.kind in (comparison.INPUT, comparison.OPERATIONS) else verdict.kind
    return Cause(kind, describe_operation(verdict), tensors, batches, counted)  # type: ignore[arg-type]


def describe_operation(verdict: Verdict) -> Operation:
    """Return the operation of a verdict as it is kept."""
    record = verdict.first or verdict.second
    assert record is not None, "a verdict is of an operation of one run at least"
    arguments = tuple("" if one is None else one.arguments for one in (verdict.first, verdict.second))
    return Operation(
        number=verdict.number,
        name=record.name,
        module=record.module.removeprefix(PACKED),
        phase=record.phase,
        place=verdict.place,
        parameter=verdict.parameter,
        arguments=("", "") if arguments[0] == arguments[1] else (arguments[0], arguments[1]),
    )


def compare_minibatches(
    recipes: tuple[Recipe, Recipe], data: Dataset | Corpus, epoch: int, step: int
) -> Batches | None:
    """Describe how the minibatches of a step differ; None where they do not, and for text, which has no examples."""
    if isinstance(data, Corpus):
        return None
    one, other = (next(islice(epoch_batches(r.at(epoch), data, epoch), step, None)) for r in recipes)
    return compare_batches(one, other)


def compare_batches(one: Batch, other: Batch) -> Batches | None:
    """Describe how two minibatches differ; None where no bit does."""
    if all(torch.equal(a, b) for a, b in ((one.examples, other.examples), (one.inputs, other.inputs))):
        return None
    names = one.examples.tolist(), other.examples.tolist()
    places = {example: place for place, example in enumerate(names[1])}
    shared = [(place, places[example]) for place, example in enumerate(names[0]) if example in places]
    return Batches(
        size=(len(names[0]), len(names[1])),
        shared=len(shared),
        moved=sum(a != b for a, b in shared),
        altered=sum(not torch.equal(one.inputs[a], other.inputs[b]) for a, b in shared),
        examples=(tuple(names[0][:SHOWN_EXAMPLES]), tuple(names[1][:SHOWN_EXAMPLES])),
        is_reversed=len(names[0]) > 1 and names[0] == names[1][::-1],
    )
