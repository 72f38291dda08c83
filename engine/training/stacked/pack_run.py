"""A pack of runs: recipes that differ in seeds and bits alone, trained at once to their predictions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from engine.recipe import Recipe
from engine.study.epochs import EpochRecord
from engine.training.checkpoint import Checkpoint, CheckpointPolicy
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.random.bit_change import BitRecord
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.run import Judgement, Outcome
from engine.training.stacked.network import Pack
from engine.training.stacked.step import CudaRecorder, Recorder
from engine.training.tasks import stacked_images, stacked_text

J = TypeVar("J", bound=Judgement)


class PackTask(Protocol[J]):
    """What is trained, one epoch at a time: a pack of image classifiers or of language models."""

    recipes: list[Recipe]
    """One per slot."""
    models: list[nn.Module]
    """One per slot, to build and to take apart the pack."""
    bits: list[BitRecord | None]
    pack: Pack

    def train_epoch(self, epoch: int) -> Tensor: ...
    def evaluate(self) -> list[J]: ...
    def keep(self, epoch: int, evaluations: Sequence[J | None]) -> None: ...
    def finish(self, slot: int, evaluation: J, *, diverged: bool) -> J: ...
    def last_rate(self, epoch: int) -> float: ...
    def state(self, slot: int) -> dict[str, Tensor]: ...
    def restore(self, states: Sequence[dict[str, Tensor]]) -> None: ...


def prepare_pack(
    recipes: Sequence[Recipe],
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    recorder: Recorder | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> stacked_images.ImagePack | stacked_text.TextPack:
    """Build every replica as it is built alone, and stack them; the last run fills the pack where they are too few.

    Raises:
        ValueError: If the recipes may not be trained in one pack.
    """
    first = recipes[0]
    if first.pack is None or len(recipes) > first.pack.size or len({recipe.companions for recipe in recipes}) > 1:
        raise ValueError("recipes of one pack are equal but for the seeds of their replicas, and fit into it")
    filled = [*recipes, *[recipes[-1]] * (first.pack.size - len(recipes))]
    if isinstance(data, Corpus):
        return stacked_text.prepare(filled, data, device=device, should_stop=should_stop)
    return stacked_images.prepare(
        filled, data, device=device, search_path=search_path, recorder=recorder, should_stop=should_stop
    )


def train_pack(
    recipes: Sequence[Recipe],
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    on_epoch: Callable[[int, EpochRecord], None] = lambda slot, record: None,
    resume_from: Sequence[Checkpoint] = (),
    checkpoints: Sequence[CheckpointPolicy] = (),
    graphs: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Outcome]:
    """Train some recipes at once.

    Args:
        recipes: Equal but for the seeds of their replicas.
        data: Their data set.
        device: Of the kind that they name.
        search_path: Where a user's model is looked for.
        on_epoch: Is told of every run's figures after each epoch.
        resume_from: A state of each recipe at the end of the same epoch, to go on from.
        checkpoints: Where and how often to save the state of each.
        graphs: Whether steps on CUDA are recorded and replayed.
        should_stop: Asked at every step.

    Returns:
        What each run leaves, in the order of the recipes.

    Raises:
        Stopped: If `should_stop` said so.
        ModelError: If the models cannot be built.
    """
    set_kernels(recipes[0].lowlevel, recipes[0].train.precision)
    use_one_thread()
    task = prepare_pack(
        recipes,
        data.to(device),
        device=device,
        search_path=search_path,
        recorder=make_recorder(device, graphs=graphs),
        should_stop=should_stop,
    )
    return _train(task, len(recipes), on_epoch=on_epoch, resume_from=resume_from, checkpoints=checkpoints)


def make_recorder(device: torch.device, *, graphs: bool) -> Recorder | None:
    """What records steps on a device; None where they are taken as they come."""
    return CudaRecorder() if graphs and device.type == "cuda" else None


def _train(
    task: PackTask[Any],
    runs: int,
    *,
    on_epoch: Callable[[int, EpochRecord], None],
    resume_from: Sequence[Checkpoint],
    checkpoints: Sequence[CheckpointPolicy],
) -> list[Outcome]:
    """The epochs of a pack whose first slots are runs; see `train_pack`."""
    train = task.recipes[0].train
    first, seconds = 1, 0.0
    if resume_from:
        filled = [*resume_from, *[resume_from[-1]] * (task.pack.size - runs)]
        task.pack.restore(filled, task.models, train)
        task.restore([checkpoint.members for checkpoint in filled])
        first, seconds = filled[0].epoch + 1, filled[0].seconds
    outcomes: dict[int, Outcome] = {}
    for epoch in range(first, train.epochs + 1):
        started = time.perf_counter()
        losses = task.train_epoch(epoch).tolist()
        evaluations = task.evaluate()
        finite = [math.isfinite(loss) and e.is_finite for loss, e in zip(losses, evaluations, strict=True)]
        live = [fine and slot not in outcomes for slot, fine in enumerate(finite)]
        task.keep(epoch, [e if alive else None for e, alive in zip(evaluations, live, strict=True)])
        # A replica's share of the time that all of them took.
        elapsed_s = (time.perf_counter() - started) / runs
        seconds += elapsed_s
        for slot in range(runs):
            if slot in outcomes:
                continue
            on_epoch(slot, _record(task, epoch, losses[slot], evaluations[slot], elapsed_s))
            if not finite[slot] or epoch == train.epochs:
                outcomes[slot] = _finish(task, slot, evaluations[slot], epoch, seconds, diverged=not finite[slot])
        if len(outcomes) == runs:
            break
        _save(task, checkpoints, outcomes, epoch=epoch, seconds=seconds)
    return [outcomes[slot] for slot in range(runs)]


def _record(task: PackTask[Any], epoch: int, loss: float, evaluation: Judgement, seconds: float) -> EpochRecord:
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
    task: PackTask[Any], slot: int, evaluation: Judgement, epoch: int, seconds: float, *, diverged: bool
) -> Outcome:
    """What a run leaves that has reached its last epoch."""
    evaluation = task.finish(slot, evaluation, diverged=diverged)
    return Outcome(
        predictions=evaluation.to_array(),
        state={name: tensor.cpu() for name, tensor in task.pack.state_of(slot).items()},
        epochs=epoch,
        test_accuracy=evaluation.accuracy,
        test_cross_entropy=evaluation.cross_entropy,
        test_perplexity=evaluation.perplexity,
        diverged=diverged,
        diverged_epoch=epoch if diverged else None,
        bit=task.bits[slot],
        seconds=seconds,
    )


def _save(
    task: PackTask[Any],
    checkpoints: Sequence[CheckpointPolicy],
    ended: dict[int, Outcome],
    *,
    epoch: int,
    seconds: float,
) -> None:
    """Every run's state under its own name, so that it can go on in whatever company."""
    if not any(policy.is_due() for policy in checkpoints):
        return
    for slot, policy in enumerate(checkpoints):
        if slot not in ended:
            model, optimiser = task.pack.member(slot, task.models[slot], task.recipes[0].train)
            policy.save(model, optimiser, epoch=epoch, seconds=seconds, members=task.state(slot))
