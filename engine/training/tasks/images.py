"""Training and judging an image classifier, one epoch at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from engine.recipe import Recipe
from engine.training.averaging import WeightAverage, first_averaged_epoch
from engine.training.data.batches import epoch_batches, steps_per_epoch
from engine.training.data.datasets import Dataset
from engine.training.evaluation import EVALUATION_BATCH, Evaluation, Members, autocast, evaluate
from engine.training.models.build import Network, build_network
from engine.training.optimiser import learning_rate, make_optimiser, set_learning_rate
from engine.training.random.bit_change import BitRecord, move_bit
from engine.training.random.seeding import mask_keys, seed_step
from engine.training.random.weight_noise import noisy_weights
from engine.training.stopping import Stopped


@dataclass
class Training:
    """The parts of a run while it is trained; a `run.Task`."""

    recipe: Recipe
    data: Dataset
    network: Network
    optimiser: torch.optim.Optimizer
    device: torch.device
    should_stop: Callable[[], bool]
    average: WeightAverage = field(default_factory=WeightAverage)
    """Empty where weights are not averaged."""
    members: Members | None = None
    """Of the snapshot schedule."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        return self.network.model

    def train_epoch(self, epoch: int) -> float:
        """See `train_epoch`."""
        return train_epoch(self, epoch)

    def evaluate(self, epoch: int) -> Evaluation:
        """The test set at the end of an epoch; the members of a snapshot ensemble are seen as the ensemble is."""
        is_member = self.members is not None and self.members.ends_at(epoch)
        return evaluate(self.model, self.data, self.recipe, self.recipe.evaluate if is_member else None)

    def keep(self, epoch: int, evaluation: Evaluation) -> None:
        """Take what the final prediction needs of an epoch that did not diverge."""
        if self.members is not None and self.members.ends_at(epoch):
            self.members.add(evaluation)

    def finish(self, evaluation: Evaluation | None, *, diverged: bool) -> Evaluation:
        """The final prediction: averaged weights, averaged members or averaged views, as the recipe says."""
        if self.average.count and not diverged:
            use_average(self)
            evaluation = None
        if self.members is not None and self.members.complete:
            return self.members.evaluate(self.data)
        if evaluation is None or self.recipe.evaluate is not None:
            return evaluate(self.model, self.data, self.recipe, self.recipe.evaluate)
        return evaluation

    def last_rate(self, epoch: int) -> float:
        """Learning rate of an epoch's last step."""
        steps = self.count_steps()
        return learning_rate(epoch * steps - 1, steps, self.recipe.train)

    def describe(self) -> dict[str, Any]:
        """What a person wants to know of data and model before training."""
        return {
            "train_examples": len(self.data.train_labels),
            "test_examples": len(self.data.test_labels),
            "input_shape": list(self.data.input_shape),
            "classes": self.data.classes,
            "stochastic": self.network.dropout_layers > 0 or self.recipe.train.weight_noise is not None,
        }

    def count_steps(self) -> int:
        """Of an epoch."""
        return steps_per_epoch(len(self.data.train_labels), self.recipe.train.batch_size)

    def evaluate_part(self) -> float:
        """Evaluate one batch, for its time; returns its share of the test set."""
        inputs, labels = self.data.test_inputs[:EVALUATION_BATCH], self.data.test_labels[:EVALUATION_BATCH]
        evaluate(self.model, replace(self.data, test_inputs=inputs, test_labels=labels), self.recipe)
        return len(labels) / len(self.data.test_labels)

    def repeatable_loss(self) -> Tensor:
        """The loss of the first minibatch, a function of the weights alone."""
        self.model.eval()  # running statistics would make the second repetition another step
        batch = next(epoch_batches(self.recipe, self.data, 1))
        return functional.cross_entropy(self.model(batch.inputs), batch.labels)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint holds beside weights and optimiser."""
        return self.average.state() | ({} if self.members is None else self.members.state())

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a checkpoint's state."""
        self.average.restore(state, self.device)
        if self.members is not None:
            self.members.restore(state)


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
    optimiser = make_optimiser(network.model.named_parameters(), recipe.train)
    members = None if recipe.train.cycles is None else Members(recipe)
    return Training(recipe, data, network, optimiser, device, should_stop, members=members), bit


def key_masks(training: Training, epoch: int) -> None:
    """Tell the dropout layers what their masks are a function of in an epoch."""
    network, seed = training.network, training.recipe.seeds.stochastic or 0
    network.masks.keys = mask_keys(seed, epoch, network.dropout_layers).to(training.device)


def train_epoch(training: Training, epoch: int) -> float:
    """One pass over the training data.

    Returns:
        Mean loss over its examples, in nats.
    """
    recipe, data, model, optimiser = training.recipe, training.data, training.model, training.optimiser
    masks = training.network.masks
    steps = steps_per_epoch(len(data.train_labels), recipe.train.batch_size)
    key_masks(training, epoch)
    averages = recipe.train.averaging is not None and epoch >= first_averaged_epoch(recipe.train.epochs)
    total = torch.zeros((), device=training.device)
    model.train()
    for step, batch in enumerate(epoch_batches(recipe, data, epoch)):
        if training.should_stop():
            raise Stopped
        if recipe.seeds.stochastic is not None:
            seed_step(recipe.seeds.stochastic, epoch, step)
            masks.examples = batch.examples
        set_learning_rate(optimiser, learning_rate((epoch - 1) * steps + step, steps, recipe.train))
        with _noise(training, epoch, step):
            with autocast(recipe, training.device):
                loss = functional.cross_entropy(model(batch.inputs), batch.labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
        if recipe.train.clip_grad_norm:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.train.clip_grad_norm)
        optimiser.step()
        if averages and recipe.train.averaging == "aswa":
            training.average.add(model)
        # Summed where it is: reading the loss would make the device wait at every step.
        total += loss.detach() * len(batch.labels)
    if averages and recipe.train.averaging == "swa":
        training.average.add(model)
    return float(total) / len(data.train_labels)


def _noise(training: Training, epoch: int, step: int) -> contextlib.AbstractContextManager[None]:
    """The step's noise on the weights; nothing where there is none."""
    scale, seed = training.recipe.train.weight_noise, training.recipe.seeds.stochastic
    if scale is None or seed is None:
        return contextlib.nullcontext()
    return noisy_weights(training.model, scale, seed=seed, epoch=epoch, step=step)


def use_average(training: Training) -> None:
    """Give the model its averaged weights, and batch norms the statistics that belong to them.

    Source: Izmailov et al. (2018), section 3.2: one more pass over the training data.
    """
    training.average.copy_to(training.model)
    epoch = training.recipe.train.epochs
    key_masks(training, epoch)

    def inputs() -> Iterator[Tensor]:
        for batch in epoch_batches(training.recipe, training.data, epoch):
            training.network.masks.examples = batch.examples
            yield batch.inputs

    with autocast(training.recipe, training.device):
        update_bn(inputs(), training.model)
