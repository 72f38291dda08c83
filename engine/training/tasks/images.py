"""Training and judging an image classifier, one epoch at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from engine.recipe import EvaluateRecipe, Recipe
from engine.training.averaging import WeightAverage, first_averaged_epoch
from engine.training.checkpoint import Checkpoint, capture, restore
from engine.training.compiled_steps import CompiledSteps, open_steps
from engine.training.data.batches import Batch, epoch_batches, steps_per_epoch
from engine.training.data.datasets import Dataset
from engine.training.data.sampling import count_trained
from engine.training.dense import DenseNetwork, is_by_hand, open_network
from engine.training.digests import digest_model
from engine.training.evaluation import (
    EVALUATION_BATCH,
    ImageEvaluation,
    SnapshotEnsemble,
    autocast,
    evaluate,
    judge,
    judge_stacked,
    predict,
)
from engine.training.models.build import Network, build_network, compile_forward
from engine.training.optimiser import learning_rate, make_optimiser, place_rates, set_learning_rate
from engine.training.random.bit_change import BitRecord, move_early_bit, move_late_bit
from engine.training.random.seeding import mask_keys, operation_keys, seed_step
from engine.training.random.weight_noise import draw_noise, noisy_weights
from engine.training.recording.recorder import Recorder
from engine.training.stopping import Stopped, StopRequest, never
from engine.training.tasks.device_steps import DeviceSteps
from engine.tuning.messages import TaskFacts


@dataclass
class ImageTask:
    """Trains one image classifier; a `task.Task` of one replica."""

    recipe: Recipe
    data: Dataset
    network: Network
    optimiser: torch.optim.Optimizer
    device: torch.device
    bits: list[BitRecord | None]
    average: WeightAverage = field(default_factory=WeightAverage)
    """Empty where weights are not averaged."""
    ensemble: SnapshotEnsemble | None = None
    """None for schedules other than "snapshot"."""
    device_steps: DeviceSteps | None = None
    """None where batches are made in the CPU's memory."""
    dense: DenseNetwork | None = None
    """Differentiates the network by hand, to the same bits; None where autograd does it."""
    program: CompiledSteps | None = None
    """Takes whole steps; None where they are not compiled."""
    steps_at_once: int = 1
    """How many steps the program takes in one call: 1 where somebody looks at the weights between them."""
    total: Tensor = field(default_factory=lambda: torch.zeros(()))
    """Sum of the epoch's losses so far."""

    @property
    def model(self) -> nn.Module:
        """Return what is trained."""
        return self.network.model

    @property
    def ended(self) -> dict[int, Exception]:
        """Return nothing: an error of this task is one of its only replica."""
        return {}

    @property
    def replicas(self) -> int:
        """Return 1: this task trains a single network."""
        return 1

    def train_epoch(self, epoch: int, should_stop: StopRequest = never) -> list[float]:
        """Train one pass over the training data; see `Task`."""
        self.begin_epoch(epoch)
        if self.program is not None and self.device_steps is None:
            self._take_spans(self.program, epoch, should_stop)
        elif self.device_steps is None:
            for step, batch in enumerate(epoch_batches(self.recipe.at(epoch), self.data, epoch)):
                if should_stop():
                    raise Stopped
                self.total += self.train_step(batch, epoch, step) * len(batch.labels)
        else:
            for step in range(self.count_steps()):
                if should_stop():
                    raise Stopped
                self.take_step(epoch, step)
        return [self.end_epoch(epoch)]

    def _take_spans(self, program: CompiledSteps, epoch: int, should_stop: StopRequest) -> None:
        """Take the steps of an epoch, several in one call; those that were asked for are taken before it ends."""
        first, size, count = 0, self.recipe.train.batch_size, self.count_steps()
        before = (epoch - 1) * count
        for span in epoch_batches(self.recipe.at(epoch), self.data, epoch, at_once=self.steps_at_once):
            steps = range(first, first + steps_per_epoch(len(span.labels), size))
            taken = takewhile(lambda _: not should_stop(), steps)
            asked = [learning_rate(before + step, count, self.recipe.train) for step in taken]
            if asked:
                end = len(asked) * size
                self.total += program.descend(span.inputs[:end], span.labels[:end], program.scale_rates(asked))
                set_learning_rate(self.optimiser, asked[-1])
            if len(asked) < len(steps):
                raise Stopped
            first += len(asked)

    def begin_epoch(self, epoch: int) -> int:
        """Move the bit where that is due, get ready for the steps of an epoch, and return how many there are."""
        self.bits = [move_late_bit(self.model, self.recipe, epoch) or self.bits[0]]
        self.model.train()
        if self.device_steps is None:
            self.key_masks(epoch)
            self.total = torch.zeros((), device=self.device)
        else:
            self.device_steps.begin(epoch)
            self.total = self.device_steps.total
        return self.count_steps()

    def train_step(self, batch: Batch, epoch: int, step: int) -> Tensor:
        """Take one step on a batch.

        Args:
            batch: The examples to train on.
            epoch: The epoch, which was begun.
            step: The number of the step in it; epoch and step say the learning rate and every random draw.

        Returns:
            The mean loss before the step, nats ().
        """
        self._prepare_step(epoch, step)
        noise = draw_noise(self.model, self.recipe.at(epoch), epoch=epoch, step=step)
        if noise is not None:
            noise = [one.to(self.device) for one in noise]
        loss = self.descend(batch, self.network.masks.step_keys(step), noise)
        self._end_step(epoch)
        return loss

    def take_step(self, epoch: int, step: int) -> None:
        """Take one step on the epoch's own batch where batches are gathered on the device; see `train_step`."""
        assert self.device_steps is not None, "batches are gathered by whoever takes the step"
        self._prepare_step(epoch, step)
        self.device_steps.take(epoch, step)
        self._end_step(epoch)

    def _prepare_step(self, epoch: int, step: int) -> None:
        """Seed torch's generators and set the learning rate."""
        recipe = self.recipe.at(epoch)
        if recipe.seeds.stochastic is not None:
            seed_step(recipe.seeds.stochastic, epoch, step)
        steps = self.count_steps()
        set_learning_rate(self.optimiser, learning_rate((epoch - 1) * steps + step, steps, recipe.train))

    def descend(self, batch: Batch, draws: Tensor | None, noise: list[Tensor] | None) -> Tensor:
        """Move the weights down the gradient of a batch's loss: only tensors decide, so that it can be recorded.

        Args:
            batch: The examples to train on.
            draws: The keys of the step's draws; see `MaskContext`.
            noise: For each parameter, what it is moved by while the gradient is taken.

        Returns:
            The mean loss before the step, nats ().
        """
        if self.program is not None:
            return self.program.descend(batch.inputs, batch.labels, self.program.read_rates()) / len(batch.labels)
        train, model = self.recipe.train, self.model
        with contextlib.nullcontext() if noise is None else noisy_weights(model, train.weight_noise or 0.0, noise):
            loss = self._differentiate(batch, draws)
        if train.clip_grad_norm:
            nn.utils.clip_grad_norm_(model.parameters(), train.clip_grad_norm)
        self.optimiser.step()
        return loss.detach()

    def _differentiate(self, batch: Batch, draws: Tensor | None) -> Tensor:
        """Return the loss, and leave its gradient in the parameters."""
        if self.dense is not None:
            return self.dense.differentiate(batch.inputs, batch.labels)
        with autocast(self.recipe, self.device):
            loss = functional.cross_entropy(self._classify(batch, draws), batch.labels)
        self.optimiser.zero_grad(set_to_none=True)
        with self.network.keyed():  # a draw in here is an error
            loss.backward()
        return loss

    def _end_step(self, epoch: int) -> None:
        if self.recipe.train.averaging == "aswa" and self._averages(epoch):
            self.average.add(self.model)

    def end_epoch(self, epoch: int) -> float:
        """Take the weights at the end of an epoch into their average, where it is over epochs; return the mean loss."""
        if self.recipe.train.averaging == "swa" and self._averages(epoch):
            self.average.add(self.model)
        return float(self.total) / self.count_examples()

    def _averages(self, epoch: int) -> bool:
        return epoch >= first_averaged_epoch(self.recipe.train.epochs)

    def classify(self, batch: Batch, step: int) -> Tensor:
        """Return the logits of a training batch, whose random numbers are keyed by example or by step."""
        return self._classify(batch, self.network.masks.step_keys(step))

    def _classify(self, batch: Batch, draws: Tensor | None) -> Tensor:
        masks = self.network.masks
        masks.begin(batch.examples, draws)
        with self.network.keyed():
            logits = self.network.classify(batch.inputs)
        masks.end()
        return logits

    def key_masks(self, epoch: int) -> None:
        """Tell the network what its random numbers are a function of in an epoch."""
        network, seed = self.network, self.recipe.at(epoch).seeds.stochastic or 0
        network.masks.keys = mask_keys(seed, epoch, network.dropout_layers).to(self.device)
        if network.keys_draws:
            network.masks.epoch_keys = operation_keys(seed, epoch, self.count_steps()).to(self.device)

    def evaluate(self, epoch: int) -> list[ImageEvaluation]:
        """Judge the test set; the members of a snapshot ensemble see it under the views that the ensemble has."""
        return [self.judge(self.predict(epoch))]

    def predict(self, epoch: int) -> Tensor:
        """Return the logits of the test set at the end of an epoch; on a GPU nobody waits for them."""
        views = self._views(epoch)
        if self.program is not None and views is None:
            return self.program.classify(self.data.test_inputs, self.data.normalise)
        if self.device_steps is not None and views is None:
            return self.device_steps.predict()
        if self.dense is None:
            return predict(self.model, self.data, self.recipe.at(epoch), views, classify=self.network.classify)
        classify, hand_out = self.dense.classify, self.data.normalise  # it does not write into its inputs
        return predict(self.model, self.data, self.recipe.at(epoch), views, classify=classify, hand_out=hand_out)

    def judge(self, logits: Tensor) -> ImageEvaluation:
        """Compute the figures of logits of the test set."""
        return judge(logits, self.data) if self.program is None else judge_stacked(logits[None], self.data)[0]

    def _views(self, epoch: int) -> EvaluateRecipe | None:
        is_member = self.ensemble is not None and self.ensemble.ends_at(epoch)
        return self.recipe.at(epoch).evaluate if is_member else None

    def keep(self, epoch: int, evaluations: Sequence[ImageEvaluation | None]) -> None:
        """Take the logits of an epoch that ends a cycle of the snapshot schedule."""
        if self.ensemble is not None and self.ensemble.ends_at(epoch) and evaluations[0] is not None:
            self.ensemble.add(evaluations[0])

    def finish(self, replica: int, epoch: int, evaluation: ImageEvaluation, *, diverged: bool) -> ImageEvaluation:
        """Return the prediction of averaged weights, averaged members or averaged views, as the recipe says."""
        recipe, averaged = self.recipe.at(epoch), self.average.count > 0 and not diverged
        if averaged:
            self.use_average()
        if self.ensemble is not None and self.ensemble.complete:
            return self.ensemble.evaluate(self.data)
        if averaged or recipe.evaluate is not None:
            return evaluate(self.model, self.data, recipe, recipe.evaluate, classify=self.network.classify)
        return evaluation

    def use_average(self) -> None:
        """Give the model its averaged weights, and batch norms the statistics that belong to them.

        Source: Izmailov et al. (2018), section 3.2: one more pass over the training data.
        """
        self.average.copy_to(self.model)
        epoch = self.recipe.train.epochs
        self.key_masks(epoch)

        def inputs() -> Iterator[Tensor]:
            masks = self.network.masks
            for step, batch in enumerate(epoch_batches(self.recipe, self.data, epoch)):
                masks.begin(batch.examples, masks.step_keys(step))
                yield batch.inputs

        with self.network.keyed(), autocast(self.recipe, self.device):
            update_bn(inputs(), self.model)

    def last_rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch's last step."""
        steps = self.count_steps()
        return learning_rate(epoch * steps - 1, steps, self.recipe.train)

    def weights(self, replica: int) -> dict[str, Tensor]:
        """Return the model's weights and buffers by name."""
        return self.model.state_dict()

    def digests(self) -> list[str]:
        """Return the digest of the weights and buffers."""
        return [digest_model(self.model)]

    def capture(self, replica: int, *, epoch: int, seconds: float) -> Checkpoint:
        """Return the state of weights, optimiser, average and snapshot ensemble."""
        extra = self.average.state() | ({} if self.ensemble is None else self.ensemble.state())
        return capture(self.model, self.optimiser, extra, epoch=epoch, seconds=seconds)

    def restore(self, starts: Sequence[Checkpoint]) -> None:
        """Restore the state of a checkpoint."""
        (start,) = starts
        restore(start, self.model, self.optimiser)
        self.average.restore(start.extra, self.device)
        if self.ensemble is not None:
            self.ensemble.restore(start.extra)

    def describe(self) -> TaskFacts:
        """Return what a person wants to know of data and model before training."""
        return TaskFacts(
            train_examples=self.count_examples(),
            test_examples=len(self.data.test_labels),
            input_shape=self.data.input_shape,
            classes=self.data.classes,
            stochastic=self.network.is_random or self.recipe.train.weight_noise is not None,
        )

    def count_steps(self) -> int:
        """Return the number of minibatches of an epoch."""
        return steps_per_epoch(self.count_examples(), self.recipe.train.batch_size)

    def count_examples(self) -> int:
        """Return the number of training examples of an epoch."""
        return count_trained(self.recipe, len(self.data.train_labels))

    def evaluate_part(self) -> float:
        """Evaluate one batch, so that it can be timed, and return its share of the test set."""
        inputs, labels = self.data.test_inputs[:EVALUATION_BATCH], self.data.test_labels[:EVALUATION_BATCH]
        part = replace(self.data, test_inputs=inputs, test_labels=labels)
        evaluate(self.model, part, self.recipe, classify=self.network.classify)
        return len(labels) / len(self.data.test_labels)

    def repeatable_loss(self) -> Tensor:
        """Return the loss of the first minibatch, a function of the weights alone."""
        self.model.eval()  # running statistics would make the second repetition another step
        batch = next(epoch_batches(self.recipe, self.data, 1))
        return functional.cross_entropy(self.network.classify(batch.inputs), batch.labels)


def prepare(
    recipe: Recipe,
    data: Dataset,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    recorder: Recorder | None = None,
) -> ImageTask:
    """Build the model, move its bit, and make its optimiser.

    Args:
        recipe: The run's.
        data: Its data set, on the device.
        device: Where it is trained.
        search_path: Where a user's model is looked for.
        recorder: Records its steps on a GPU; None where they are taken one by one.
    """
    network = build_network(
        recipe.model,
        input_shape=data.input_shape,
        classes=data.classes,
        init_seed=recipe.seeds.init,
        search_path=search_path,
        example=data.feed(data.test_inputs[:2].expand(2, *data.input_shape).cpu()),
    )
    if recipe.compiled is True:
        network = compile_forward(network, recipe.model.name)
    bit = move_early_bit(network.model, recipe)
    network.model.to(device).train()
    optimiser = make_optimiser(network.model.named_parameters(), recipe.train)
    ensemble = None if recipe.train.cycles is None else SnapshotEnsemble(recipe)
    dense = open_network(network.model) if is_by_hand(recipe, device) else None
    task = ImageTask(recipe, data, network, optimiser, device, [bit], ensemble=ensemble, dense=dense)
    if recipe.compiled == "step":
        task.program = open_steps(recipe, dense, optimiser)
        task.steps_at_once = task.program.at_once
    if device.type == "cuda":
        place_rates(optimiser, device)
        gather_on_device(task, recorder)
    return task


def gather_on_device(task: ImageTask, recorder: Recorder | None = None) -> None:
    """Let a task gather its batches on its device, from a table of each epoch, and record its steps there."""
    task.device_steps = DeviceSteps(
        task.recipe,
        task.data,
        task.network,
        task.descend,
        recorder,
        lambda: task.optimiser.zero_grad(set_to_none=True),
    )
