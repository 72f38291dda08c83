"""The training loop: from the first epoch, or a checkpoint, of one run or of several at once to their predictions."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from engine.recipe import Recipe
from engine.study.epochs import EpochRecord
from engine.training.checkpoint import Checkpoint, CheckpointPolicy
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.random.bit_change import BitRecord
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.sketching import Sketches
from engine.training.stopping import ALL_STAY, Leaving, StopRequest, never
from engine.training.tasks.preparation import prepare
from engine.training.tasks.task import Evaluation, Task


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Holds what a run leaves."""

    predictions: np.ndarray
    """On the test set in its order: float32 logits (N, C), or for text `text.PREDICTION` (N,)."""
    state: dict[str, Tensor]
    """Final weights and buffers."""
    epochs: int
    """Epochs that were trained: fewer than planned where the run diverged."""
    test_accuracy: float
    """Percent."""
    test_cross_entropy: float
    """Nats."""
    test_perplexity: float | None
    """None for images."""
    diverged: bool
    """Whether the loss or the predictions stopped being finite; training ends there."""
    diverged_epoch: int | None
    bit: BitRecord | None
    seconds: float


EpochListener = Callable[[int, EpochRecord], None]
"""Is told the number of a run in its list, and the figures of an epoch of it."""


def train_runs(
    recipes: Sequence[Recipe],
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    on_epoch: EpochListener = lambda run, record: None,
    starts: Sequence[Checkpoint] = (),
    checkpoints: Sequence[CheckpointPolicy] = (),
    forks: Sequence[CheckpointPolicy | None] = (),
    graphs: bool = True,
    sketches: int = 0,
    should_stop: StopRequest = never,
    leaving: Leaving = ALL_STAY,
) -> list[Outcome]:
    """Train one recipe, several of one pack at once, or several side by side.

    Args:
        recipes: Everything that determines the results; several are equal but for the seeds of their replicas.
        data: The recipes' data set.
        device: A device of the kind that the recipes name.
        search_path: Where a user's model is looked for.
        on_epoch: Is told of every run's figures after each epoch.
        starts: The state that each run goes on from, all at the end of the same epoch: the run's own, or that of its
            prefix from before its onset. Empty to start from the first epoch.
        checkpoints: Where and how often the state of each run is saved.
        forks: Where the state of each run is saved at its onset, for other runs with the same beginning.
        graphs: Whether steps on CUDA are recorded and replayed.
        sketches: How often in an epoch it is noted where the weights are; 0 for never.
        should_stop: Asked before every step.
        leaving: Which runs side by side leave while the others go on, and who is told of those that end.

    Returns:
        What each run leaves, in the order of the recipes; nothing of one that has ended before its time.

    Raises:
        Stopped: If `should_stop` said so.
        ModelError: If a model cannot be built.
        PerturbationError: If a bit change would have no effect.
        ValueError: If the recipes may not be trained together.
    """
    set_kernels(recipes[0].lowlevel, recipes[0].train.precision)
    use_one_thread()
    task = prepare(recipes, data.to(device), device=device, search_path=search_path, graphs=graphs, leaving=leaving)
    return train_task(
        task,
        recipes,
        on_epoch=on_epoch,
        starts=starts,
        checkpoints=checkpoints,
        forks=forks,
        sketches=sketches,
        should_stop=should_stop,
    )


def train_task(
    task: Task[Any],
    recipes: Sequence[Recipe],
    *,
    on_epoch: EpochListener = lambda run, record: None,
    starts: Sequence[Checkpoint] = (),
    checkpoints: Sequence[CheckpointPolicy] = (),
    forks: Sequence[CheckpointPolicy | None] = (),
    sketches: int = 0,
    should_stop: StopRequest = never,
) -> list[Outcome]:
    """Train what is prepared; its first replicas are those of the recipes. See `train_runs`."""
    first, seconds = 1, 0.0
    if starts:
        task.restore(starts)
        first, seconds = starts[0].epoch + 1, starts[0].seconds
    last = recipes[0].train.epochs
    initial = [] if starts else task.digests()
    sketching = Sketches(task, len(recipes), sketches) if sketches else None
    outcomes: dict[int, Outcome] = {}

    def list_left() -> list[int]:
        return [run for run in range(len(recipes)) if run not in outcomes and run not in task.ended]

    for epoch in range(first, last + 1):
        if not list_left():
            break
        started = time.perf_counter()
        if recipes[0].onset is not None:
            set_kernels(recipes[0].at(epoch).lowlevel, recipes[0].train.precision)
        with contextlib.nullcontext() if sketching is None else sketching.follow(epoch):
            losses = task.train_epoch(epoch, should_stop)
        evaluations = task.evaluate(epoch)
        finite = [math.isfinite(loss) and one.is_finite for loss, one in zip(losses, evaluations, strict=True)]
        # A run that has diverged has ended, even if its replica is trained on and its numbers become finite again.
        live = [fine and replica not in outcomes for replica, fine in enumerate(finite)]
        task.keep(epoch, [one if alive else None for one, alive in zip(evaluations, live, strict=True)])
        digests = task.digests()
        elapsed_s = (time.perf_counter() - started) / len(recipes)  # a run's share of the time that all of them took
        seconds += elapsed_s
        for run in list_left():
            record = _record(task, epoch, losses[run], evaluations[run], elapsed_s)
            start = initial[run] if initial and epoch == 1 else None
            sketch = None if sketching is None else sketching.end_epoch(run, epoch)
            on_epoch(run, msgspec.structs.replace(record, weights=digests[run], start=start, sketches=sketch))
            if not finite[run] or epoch == last:
                outcomes[run] = _finish(task, run, epoch, evaluations[run], seconds, diverged=not finite[run])
        for run, policies in _find_due(recipes, list_left(), epoch, checkpoints, forks).items():
            checkpoint = task.capture(run, epoch=epoch, seconds=seconds)
            for policy in policies:
                policy.save(checkpoint)
    return [outcomes[run] for run in sorted(outcomes)]


def _record(task: Task[Any], epoch: int, loss: float, evaluation: Evaluation, seconds: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_loss=loss,
        test_accuracy=evaluation.accuracy,
        test_cross_entropy=evaluation.cross_entropy,
        test_perplexity=evaluation.perplexity,
        lr=task.last_rate(epoch),
        seconds=seconds,
    )


def _finish(
    task: Task[Any], run: int, epoch: int, evaluation: Evaluation, seconds: float, *, diverged: bool
) -> Outcome:
    """Return what a run leaves that has reached its last epoch."""
    final: Evaluation = task.finish(run, epoch, evaluation, diverged=diverged)
    return Outcome(
        predictions=final.to_array(),
        state={name: tensor.detach().cpu() for name, tensor in task.weights(run).items()},
        epochs=epoch,
        test_accuracy=final.accuracy,
        test_cross_entropy=final.cross_entropy,
        test_perplexity=final.perplexity,
        diverged=diverged,
        diverged_epoch=epoch if diverged else None,
        bit=task.bits[run],
        seconds=seconds,
    )


def _find_due(
    recipes: Sequence[Recipe],
    left: Sequence[int],
    epoch: int,
    checkpoints: Sequence[CheckpointPolicy],
    forks: Sequence[CheckpointPolicy | None],
) -> dict[int, list[CheckpointPolicy]]:
    """Return the checkpoints to write at the end of an epoch, by the number of the run, for those that are left.

    Where one run's checkpoint is due, so are those of all runs, because they can only go on together. A run whose bit
    was moved at a late onset has none.
    """
    due: dict[int, list[CheckpointPolicy]] = {}
    saved = [run for run in left if checkpoints and not _has_moved_late(recipes[run], epoch)]
    if any(checkpoints[run].is_due() for run in saved):
        due = {run: [checkpoints[run]] for run in saved}
    for run in left:
        fork, onset = forks[run] if forks else None, recipes[run].onset
        if fork is not None and onset is not None and epoch == onset.epoch:
            due.setdefault(run, []).append(fork)
    return due


def _has_moved_late(recipe: Recipe, epoch: int) -> bool:
    """Tell whether a bit was moved at a late onset: no checkpoint holds which one, so only this attempt knows it."""
    return recipe.bit is not None and recipe.onset is not None and epoch > recipe.onset.epoch
