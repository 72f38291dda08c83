"""A pack of runs: recipes that differ in seeds and bits alone, trained at once to their predictions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.recipe import Recipe
from engine.store.epochs import EpochRecord
from engine.training import images
from engine.training.batches import epoch_batches, steps_per_epoch
from engine.training.data import Dataset
from engine.training.evaluation import EVALUATION_BATCH, Evaluation, Members, autocast, judge
from engine.training.optimiser import learning_rate, set_learning_rate
from engine.training.perturb import BitRecord
from engine.training.run import Outcome
from engine.training.seeding import set_kernels, use_one_thread
from engine.training.snapshot import Checkpoint, CheckpointPolicy
from engine.training.stopping import Stopped

from .network import Pack

LEAST_EVALUATION_BATCH = 100


@dataclass
class PackTraining:
    """The parts of a pack while it is trained."""

    recipes: list[Recipe]
    """One per slot; the last runs may stand in several, to fill the pack."""
    data: Dataset
    device: torch.device
    models: list[nn.Module]
    """One per slot, to build and to take apart the pack."""
    bits: list[BitRecord | None]
    pack: Pack
    should_stop: Callable[[], bool]
    ensembles: list[Members] = field(default_factory=list)
    """Of the snapshot schedule."""

    @property
    def recipe(self) -> Recipe:
        """What all of them have in common."""
        return self.recipes[0]

    @property
    def evaluation_batch(self) -> int:
        """Test examples at once; a function of the recipe alone, as rounding depends on it."""
        return max(LEAST_EVALUATION_BATCH, EVALUATION_BATCH // self.pack.size)

    def train_epoch(self, epoch: int) -> Tensor:
        """One pass over the training data.

        Returns:
            Mean loss of each replica over its examples, nats, float32 (K,).
        """
        train, pack = self.recipe.train, self.pack
        steps = steps_per_epoch(len(self.data.train_labels), train.batch_size)
        total = torch.zeros(pack.size, device=self.device)
        pack.train()
        for step, (inputs, labels) in enumerate(self.batches(epoch)):
            if self.should_stop():
                raise Stopped
            rate = learning_rate((epoch - 1) * steps + step, steps, train)
            total += self.train_step(inputs, labels, rate=rate) * labels.shape[-1]
        return total / len(self.data.train_labels)

    def train_step(self, inputs: Tensor, labels: Tensor, *, rate: float) -> Tensor:
        """One step of every replica; returns their losses, nats (K,)."""
        train, pack = self.recipe.train, self.pack
        set_learning_rate(pack.optimiser, rate)
        with autocast(self.recipe, self.device):
            losses = replica_losses(pack(inputs), labels)
        pack.optimiser.zero_grad(set_to_none=True)
        # Each replica's loss depends on its own parameters alone, so the gradient of the sum holds all of theirs.
        losses.sum().backward()
        if train.clip_grad_norm:
            pack.clip_gradients(train.clip_grad_norm)
        pack.optimiser.step()
        return losses.detach()

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (B, …) and labels (B,) where the batch is shared, else (K, B, …) and (K, B)."""
        if self.pack.shared_batch:
            for batch in epoch_batches(self.recipe, self.data, epoch):
                yield batch.inputs, batch.labels
        else:
            streams = [epoch_batches(recipe, self.data, epoch) for recipe in self.recipes]
            for batches in zip(*streams, strict=True):
                yield torch.stack([b.inputs for b in batches]), torch.stack([b.labels for b in batches])

    def evaluate(self) -> list[Evaluation]:
        """The test set as each replica sees it."""
        self.pack.eval()
        size = self.evaluation_batch
        parts = []
        with torch.no_grad(), autocast(self.recipe, self.device):
            for start in range(0, len(self.data.test_labels), size):
                inputs = self.data.normalise(self.data.test_inputs[start : start + size])
                parts.append(self.pack(inputs, shared=True).float())
        return [judge(logits.contiguous(), self.data) for logits in torch.cat(parts, dim=1)]


def replica_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each replica.

    Args:
        logits: (K, B, C).
        labels: (B,) where they share the batch, else (K, B).

    Returns:
        Nats, (K,).
    """
    replicas, examples, _ = logits.shape
    wanted = labels.expand(replicas, examples).reshape(-1)
    losses = functional.cross_entropy(logits.reshape(replicas * examples, -1), wanted, reduction="none")
    return losses.view(replicas, examples).mean(1)


def prepare_pack(
    recipes: Sequence[Recipe],
    data: Dataset,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    should_stop: Callable[[], bool] = lambda: False,
) -> PackTraining:
    """Build every replica as it is built alone, and stack them; runs fill the pack up where they are too few.

    Raises:
        ValueError: If the recipes may not be trained in one pack.
    """
    first = recipes[0]
    if first.pack is None or len(recipes) > first.pack.size or len({recipe.companions for recipe in recipes}) > 1:
        raise ValueError("recipes of one pack are equal but for the seeds of their replicas, and fit into it")
    filled = [*recipes, *[recipes[-1]] * (first.pack.size - len(recipes))]
    built = [images.prepare(recipe, data, device=device, search_path=search_path) for recipe in filled]
    models = [training.network.model for training, _ in built]
    return PackTraining(
        recipes=filled,
        data=data,
        device=device,
        models=models,
        bits=[bit for _, bit in built],
        pack=Pack(models, first.train, shared_batch=first.pack.shared_batch),
        should_stop=should_stop,
        ensembles=[Members(recipe) for recipe in filled] if first.train.cycles else [],
    )


def train_pack(
    recipes: Sequence[Recipe],
    data: Dataset,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    on_epoch: Callable[[int, EpochRecord], None] = lambda slot, record: None,
    resume_from: Sequence[Checkpoint] = (),
    checkpoints: Sequence[CheckpointPolicy] = (),
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
        should_stop: Asked at every step.

    Returns:
        What each run leaves, in the order of the recipes.

    Raises:
        Stopped: If `should_stop` said so.
        ModelError: If the models cannot be built.
    """
    set_kernels(recipes[0].lowlevel, recipes[0].train.precision)
    use_one_thread()
    training = prepare_pack(recipes, data.to(device), device=device, search_path=search_path, should_stop=should_stop)
    first, seconds = 1, 0.0
    if resume_from:
        filled = [*resume_from, *[resume_from[-1]] * (training.pack.size - len(recipes))]
        training.pack.restore(filled, training.models, recipes[0].train)
        for ensemble, checkpoint in zip(training.ensembles, filled, strict=False):
            ensemble.restore(checkpoint.members)
        first, seconds = filled[0].epoch + 1, filled[0].seconds
    outcomes: dict[int, Outcome] = {}
    for epoch in range(first, recipes[0].train.epochs + 1):
        started = time.perf_counter()
        losses = training.train_epoch(epoch).tolist()
        evaluations = training.evaluate()
        # A replica's share of the time that all of them took.
        elapsed_s = (time.perf_counter() - started) / len(recipes)
        seconds += elapsed_s
        for slot in range(len(recipes)):
            if slot in outcomes:
                continue
            evaluation, finite = evaluations[slot], math.isfinite(losses[slot]) and evaluations[slot].is_finite
            on_epoch(slot, _record(training, epoch, losses[slot], evaluation, elapsed_s))
            if finite and training.ensembles and training.ensembles[slot].ends_at(epoch):
                training.ensembles[slot].add(evaluation)
            if not finite or epoch == recipes[0].train.epochs:
                outcomes[slot] = _finish(training, slot, evaluation, epoch, seconds, diverged=not finite)
        if len(outcomes) == len(recipes):
            break
        _save(training, checkpoints, outcomes, epoch=epoch, seconds=seconds)
    return [outcomes[slot] for slot in range(len(recipes))]


def _record(training: PackTraining, epoch: int, loss: float, evaluation: Evaluation, seconds: float) -> EpochRecord:
    train = training.recipe.train
    steps = steps_per_epoch(len(training.data.train_labels), train.batch_size)
    return EpochRecord(
        epoch=epoch,
        train_loss=loss,
        test_accuracy=evaluation.accuracy,
        test_cross_entropy=evaluation.cross_entropy,
        test_perplexity=None,
        lr=learning_rate(epoch * steps - 1, steps, train),
        seconds=seconds,
    )


def _finish(
    training: PackTraining, slot: int, evaluation: Evaluation, epoch: int, seconds: float, *, diverged: bool
) -> Outcome:
    """What a run leaves that has reached its last epoch."""
    if training.ensembles and training.ensembles[slot].complete:
        evaluation = training.ensembles[slot].evaluate(training.data)
    return Outcome(
        predictions=evaluation.to_array(),
        state={name: tensor.cpu() for name, tensor in training.pack.state_of(slot).items()},
        epochs=epoch,
        test_accuracy=evaluation.accuracy,
        test_cross_entropy=evaluation.cross_entropy,
        test_perplexity=None,
        diverged=diverged,
        diverged_epoch=epoch if diverged else None,
        bit=training.bits[slot],
        seconds=seconds,
    )


def _save(
    training: PackTraining,
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
            model, optimiser = training.pack.member(slot, training.models[slot], training.recipe.train)
            members = training.ensembles[slot].state() if training.ensembles else {}
            policy.save(model, optimiser, epoch=epoch, seconds=seconds, members=members)
