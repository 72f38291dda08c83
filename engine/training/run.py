"""One run: a recipe trained from its first epoch, or its checkpoint, to its predictions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from engine.catalog import presets
from engine.recipe import DataRecipe, Recipe
from engine.study.epochs import EpochRecord
from engine.training.checkpoint import Checkpoint, CheckpointPolicy, restore
from engine.training.data.datasets import Dataset, load_data
from engine.training.data.text import Corpus, load_corpus
from engine.training.evaluation import Evaluation, evaluate
from engine.training.random.bit_change import BitRecord, move_bit
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.tasks import images
from engine.training.tasks import text as language


class Judgement(Protocol):
    """Predictions on the test set and their figures."""

    @property
    def accuracy(self) -> float: ...
    @property
    def cross_entropy(self) -> float: ...
    @property
    def perplexity(self) -> float | None: ...
    @property
    def is_finite(self) -> bool: ...
    def to_array(self) -> np.ndarray: ...


J = TypeVar("J", bound=Judgement)


class Task(Protocol[J]):
    """What is trained, one epoch at a time: an image classifier or a language model."""

    recipe: Recipe
    optimiser: torch.optim.Optimizer

    @property
    def model(self) -> nn.Module: ...
    def train_epoch(self, epoch: int) -> float: ...
    def evaluate(self, epoch: int) -> J: ...
    def keep(self, epoch: int, evaluation: J) -> None: ...
    def finish(self, evaluation: J | None, *, diverged: bool) -> J: ...
    def last_rate(self, epoch: int) -> float: ...
    def state(self) -> dict[str, Tensor]: ...
    def restore(self, state: dict[str, Tensor]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run leaves."""

    predictions: np.ndarray
    """On the test set in its order: float32 logits (N, C), or for text `language.task.PREDICTION` (N,)."""
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


def load(recipe: DataRecipe, *, root: Path, search_path: tuple[Path, ...]) -> Dataset | Corpus:
    """A recipe's data: text or images; see `data.load_data` and `corpus.load_corpus`."""
    if recipe.preset in presets.LANGUAGE:
        return load_corpus(recipe.preset, root)
    return load_data(recipe, root=root, search_path=search_path)


def prepare(
    recipe: Recipe,
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...],
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[images.Training | language.Training, BitRecord | None]:
    """Build a recipe's model, move its bit, and make its optimiser."""
    if isinstance(data, Corpus):
        return language.prepare(recipe, data, device=device, should_stop=should_stop)
    return images.prepare(recipe, data, device=device, search_path=search_path, should_stop=should_stop)


def train_run(
    recipe: Recipe,
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    resume_from: Checkpoint | None = None,
    checkpoints: CheckpointPolicy | None = None,
    fork: CheckpointPolicy | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train a recipe.

    Args:
        recipe: Everything that determines the result.
        data: The recipe's data set.
        device: Of the kind that the recipe names.
        search_path: Where a user's model is looked for.
        on_epoch: Is told of every epoch's figures.
        resume_from: State of this very recipe to go on from, or of its prefix from before its onset.
        checkpoints: Where and how often to save the state.
        fork: Where to save the state at the onset, for other runs with the same beginning.
        should_stop: Asked at every step.

    Raises:
        Stopped: If `should_stop` said so.
        ModelError: If the model cannot be built.
        PerturbationError: If the bit change would have no effect.
    """
    set_kernels(recipe.lowlevel, recipe.train.precision)
    use_one_thread()
    task, bit = prepare(recipe, data.to(device), device=device, search_path=search_path, should_stop=should_stop)
    return _train(
        task,
        recipe,
        bit,
        on_epoch=on_epoch,
        resume_from=resume_from,
        policies=lambda epoch: _due(recipe, epoch, checkpoints, fork),
    )


def _train(
    task: Task[Any],
    recipe: Recipe,
    bit: BitRecord | None,
    *,
    on_epoch: Callable[[EpochRecord], None],
    resume_from: Checkpoint | None,
    policies: Callable[[int], list[CheckpointPolicy]],
) -> Outcome:
    """The epochs of a task; see `train_run`."""
    first, seconds = 1, 0.0
    if resume_from is not None:
        restore(resume_from, task.model, task.optimiser)
        task.restore(resume_from.members)
        first, seconds = resume_from.epoch + 1, resume_from.seconds
    evaluation, diverged_epoch, epoch = None, None, first - 1
    for epoch in range(first, recipe.train.epochs + 1):
        started = time.perf_counter()
        task.recipe = recipe.at(epoch)
        if recipe.onset is not None:
            set_kernels(task.recipe.lowlevel, recipe.train.precision)
            if epoch == recipe.onset.epoch + 1 and recipe.bit is not None:
                bit = move_bit(task.model, recipe.bit)
        loss = task.train_epoch(epoch)
        evaluation = task.evaluate(epoch)
        finite = math.isfinite(loss) and evaluation.is_finite
        if finite:
            task.keep(epoch, evaluation)
        elapsed_s = time.perf_counter() - started
        seconds += elapsed_s
        on_epoch(
            EpochRecord(
                epoch=epoch,
                train_loss=loss,
                test_accuracy=evaluation.accuracy,
                test_cross_entropy=evaluation.cross_entropy,
                test_perplexity=evaluation.perplexity,
                lr=task.last_rate(epoch),
                seconds=elapsed_s,
            )
        )
        if not finite:
            diverged_epoch = epoch
            break
        for policy in policies(epoch):
            policy.save(task.model, task.optimiser, epoch=epoch, seconds=seconds, members=task.state())
    evaluation = task.finish(evaluation, diverged=diverged_epoch is not None)
    return Outcome(
        predictions=evaluation.to_array(),
        state={name: tensor.detach().cpu() for name, tensor in task.model.state_dict().items()},
        epochs=epoch,
        test_accuracy=evaluation.accuracy,
        test_cross_entropy=evaluation.cross_entropy,
        test_perplexity=evaluation.perplexity,
        diverged=diverged_epoch is not None,
        diverged_epoch=diverged_epoch,
        bit=bit,
        seconds=seconds,
    )


def evaluate_run(
    recipe: Recipe, data: Dataset, state: dict[str, Tensor], *, device: torch.device, search_path: tuple[Path, ...]
) -> Evaluation:
    """The test set under a recipe's views, as seen by weights that were trained under its twin without them."""
    set_kernels(recipe.lowlevel, recipe.train.precision)
    use_one_thread()
    data = data.to(device)
    task, _ = images.prepare(replace(recipe, bit=None), data, device=device, search_path=search_path)
    task.model.load_state_dict(state)
    return evaluate(task.model, data, recipe, recipe.evaluate)


def _due(
    recipe: Recipe, epoch: int, checkpoints: CheckpointPolicy | None, fork: CheckpointPolicy | None
) -> list[CheckpointPolicy]:
    """Where the state is to be saved at the end of an epoch that is not the last."""
    due = []
    if epoch < recipe.train.epochs and checkpoints is not None:
        moved = recipe.bit is not None and recipe.onset is not None and epoch > recipe.onset.epoch
        # What bit was moved in the middle is told by the attempt that moved it: it is not in a checkpoint.
        due += [checkpoints] if checkpoints.is_due() and not moved else []
    if fork is not None and recipe.onset is not None and epoch == recipe.onset.epoch:
        due.append(fork)
    return due
