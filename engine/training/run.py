"""One run: a recipe trained from its first epoch, or its checkpoint, to its predictions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.recipe import Recipe
from engine.store.epochs import EpochRecord

from .batches import epoch_batches, steps_per_epoch
from .build import Network, build_network
from .data import Dataset
from .optimiser import learning_rate, make_optimiser, set_learning_rate
from .perturb import BitRecord, move_bit
from .seeding import seed_step, set_kernels, use_one_thread
from .snapshot import Checkpoint, CheckpointPolicy, restore

EVALUATION_BATCH = 1000
"""Examples per forward pass on the test set; fixed, as rounding depends on it."""


class Stopped(Exception):
    """Raised out of a training whose end was asked for."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run leaves."""

    logits: np.ndarray
    """float32 (N, C), on the test set in its order."""
    state: dict[str, Tensor]
    """Final weights and buffers."""
    epochs: int
    """Epochs that were trained: fewer than planned where the run diverged."""
    test_accuracy: float
    """Percent."""
    test_cross_entropy: float
    """Nats."""
    diverged: bool
    """Whether the loss or the logits stopped being finite; training ends there."""
    diverged_epoch: int | None
    bit: BitRecord | None
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """The test set as a model sees it."""

    logits: Tensor
    accuracy: float
    cross_entropy: float


@dataclass
class Training:
    """The parts of a run while it is trained."""

    recipe: Recipe
    data: Dataset
    network: Network
    optimiser: torch.optim.Optimizer
    device: torch.device
    should_stop: Callable[[], bool]

    @property
    def model(self) -> nn.Module:
        return self.network.model


def train_run(
    recipe: Recipe,
    data: Dataset,
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
    data = data.to(device)
    training, bit = prepare(recipe, data, device=device, search_path=search_path, should_stop=should_stop)
    members = Members(recipe)
    first, seconds = 1, 0.0
    if resume_from is not None:
        restore(resume_from, training.model, training.optimiser)
        members.restore(resume_from.members)
        first, seconds = resume_from.epoch + 1, resume_from.seconds
    evaluation, diverged_epoch, epoch = None, None, first - 1
    for epoch in range(first, recipe.train.epochs + 1):
        started = time.perf_counter()
        training.recipe = recipe.at(epoch)
        if recipe.onset is not None:
            set_kernels(training.recipe.lowlevel, recipe.train.precision)
            if epoch == recipe.onset.epoch + 1 and recipe.bit is not None:
                bit = move_bit(training.model, recipe.bit)
        loss = train_epoch(training, epoch)
        evaluation = evaluate(training.model, data, recipe)
        elapsed_s = time.perf_counter() - started
        seconds += elapsed_s
        on_epoch(_record(training, epoch, loss, evaluation, elapsed_s))
        if not (math.isfinite(loss) and bool(torch.isfinite(evaluation.logits).all())):
            diverged_epoch = epoch
            break
        members.add(epoch, evaluation)
        for policy in _due(recipe, epoch, checkpoints, fork):
            policy.save(training.model, training.optimiser, epoch=epoch, seconds=seconds, members=members.state())
    if evaluation is None:
        evaluation = evaluate(training.model, data, recipe)
    if members.complete:
        evaluation = members.evaluate(data)
    return Outcome(
        logits=evaluation.logits.float().cpu().numpy(),
        state={name: tensor.detach().cpu() for name, tensor in training.model.state_dict().items()},
        epochs=epoch,
        test_accuracy=evaluation.accuracy,
        test_cross_entropy=evaluation.cross_entropy,
        diverged=diverged_epoch is not None,
        diverged_epoch=diverged_epoch,
        bit=bit,
        seconds=seconds,
    )


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


class Members:
    """The predictions at the ends of the snapshot schedule's cycles, whose mean is the run's prediction.

    Source: paper, section 5; the published code averages logits.
    """

    def __init__(self, recipe: Recipe) -> None:
        """No cycle has ended yet; other schedules have no members."""
        self.cycles = recipe.train.cycles or 0
        self.cycle_epochs = recipe.train.epochs // self.cycles if self.cycles else 0
        self.count = 0
        self.total: Tensor | None = None

    @property
    def complete(self) -> bool:
        """Whether every cycle has ended."""
        return self.cycles > 0 and self.count == self.cycles

    def add(self, epoch: int, evaluation: Evaluation) -> None:
        """Take the logits of an epoch that ends a cycle."""
        if self.cycles and epoch % self.cycle_epochs == 0:
            logits = evaluation.logits.double().cpu()
            self.total = logits if self.total is None else self.total + logits
            self.count += 1

    def evaluate(self, data: Dataset) -> Evaluation:
        """The mean logits, float32, and their figures."""
        assert self.total is not None, "a complete ensemble has members"
        return _judge((self.total / self.cycles).float().to(data.test_labels.device), data)

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint; inverse of `restore`."""
        return {} if self.total is None else {"total": self.total, "count": torch.tensor(self.count)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint's state."""
        if state:
            self.total, self.count = state["total"], int(state["count"])


def prepare(
    recipe: Recipe,
    data: Dataset,
    *,
    device: torch.device,
    search_path: tuple[Path, ...],
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[Training, BitRecord | None]:
    """Build the model, move its bit, and make its optimiser."""
    network = build_network(
        recipe.model,
        input_shape=data.input_shape,
        classes=data.classes,
        init_seed=recipe.seeds.init,
        search_path=search_path,
        example=data.normalise(data.test_inputs[:2].expand(2, *data.input_shape).cpu()),
    )
    early = recipe.bit is not None and recipe.onset is None
    bit = move_bit(network.model, recipe.bit) if early and recipe.bit is not None else None
    network.model.to(device).train()
    optimiser = make_optimiser(network.model, recipe.train)
    return Training(recipe, data, network, optimiser, device, should_stop), bit


def key_masks(training: Training, epoch: int) -> None:
    """Tell the dropout layers what their masks are a function of in an epoch."""
    masks = training.network.masks
    masks.seed, masks.epoch = training.recipe.seeds.stochastic or 0, epoch


def train_epoch(training: Training, epoch: int) -> float:
    """One pass over the training data.

    Returns:
        Mean loss over its examples, in nats.
    """
    recipe, data, model, optimiser = training.recipe, training.data, training.model, training.optimiser
    masks = training.network.masks
    steps = steps_per_epoch(len(data.train_labels), recipe.train.batch_size)
    key_masks(training, epoch)
    total = torch.zeros((), device=training.device)
    model.train()
    for step, batch in enumerate(epoch_batches(recipe, data, epoch)):
        if training.should_stop():
            raise Stopped
        if recipe.seeds.stochastic is not None:
            seed_step(recipe.seeds.stochastic, epoch, step)
            masks.examples = batch.examples
        set_learning_rate(optimiser, learning_rate((epoch - 1) * steps + step, steps, recipe.train))
        with _precision(recipe, training.device):
            loss = functional.cross_entropy(model(batch.inputs), batch.labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if recipe.train.clip_grad_norm:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.train.clip_grad_norm)
        optimiser.step()
        # Summed where it is: reading the loss would make the device wait at every step.
        total += loss.detach() * len(batch.labels)
    return float(total) / len(data.train_labels)


def evaluate(model: nn.Module, data: Dataset, recipe: Recipe) -> Evaluation:
    """Logits, accuracy in percent and cross-entropy in nats on the test set."""
    model.eval()
    parts = []
    with torch.no_grad(), _precision(recipe, data.test_inputs.device):
        for start in range(0, len(data.test_labels), EVALUATION_BATCH):
            parts.append(model(data.normalise(data.test_inputs[start : start + EVALUATION_BATCH])).float())
    return _judge(torch.cat(parts), data)


def _judge(logits: Tensor, data: Dataset) -> Evaluation:
    correct = int((logits.argmax(1) == data.test_labels).sum())
    cross_entropy = float(functional.cross_entropy(logits.double(), data.test_labels))
    return Evaluation(logits, 100.0 * correct / len(data.test_labels), cross_entropy)


def _precision(recipe: Recipe, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=recipe.train.precision == "bf16")


def _record(training: Training, epoch: int, loss: float, evaluation: Evaluation, seconds: float) -> EpochRecord:
    steps = steps_per_epoch(len(training.data.train_labels), training.recipe.train.batch_size)
    return EpochRecord(
        epoch=epoch,
        train_loss=loss,
        test_accuracy=evaluation.accuracy,
        test_cross_entropy=evaluation.cross_entropy,
        lr=learning_rate(epoch * steps - 1, steps, training.recipe.train),
        seconds=seconds,
    )
