"""Training and judging a language model, one epoch at a time.

Source: main.py of github.com/salesforce/awd-lstm-lm, for segments, learning rates, regularisation and the switch to
averaged SGD.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.recipe import EVALUATION_STREAMS, Recipe, TrainRecipe
from engine.training.averaging import WeightAverage
from engine.training.best import BestWeights
from engine.training.checkpoint import Checkpoint, capture, restore
from engine.training.data.text import Corpus, make_streams
from engine.training.digests import digest_model
from engine.training.evaluation import autocast
from engine.training.models.qrnn import Masks, Qrnn, Reading, State
from engine.training.optimiser import learning_rate, make_optimiser, place_rates, set_learning_rate
from engine.training.random.bit_change import BitRecord, move_early_bit, move_late_bit
from engine.training.random.seeding import initialised_under
from engine.training.recording.recorder import Recorder
from engine.training.stopping import Stopped, StopRequest, never
from engine.training.tasks.text_reading import TIMED_WORDS, Reader, TextEvaluation, judge_seen
from engine.training.tasks.text_steps import TextSteps, usual_length
from engine.tuning.messages import TaskFacts

MANY_STEPS = 1000
"""Steps of an epoch for the rate of its last one; how many there are differs from epoch to epoch."""

NONMONOTONE_EPOCHS = 5
"""Averaging begins once the validation loss is worse than the best of all epochs but the last five."""


@dataclass
class TextTask:
    """Trains one language model; a `task.Task` of one replica."""

    recipe: Recipe
    corpus: Corpus
    model: Qrnn
    optimiser: torch.optim.Optimizer
    bits: list[BitRecord | None]
    average: WeightAverage = field(default_factory=WeightAverage)
    averages: bool = False
    """Whether the switch to averaged SGD has happened."""
    valid_losses: list[float] = field(default_factory=list[float])
    best: BestWeights = field(default_factory=BestWeights)
    recorder: Recorder | None = None
    """Records its steps and what it reads on a GPU; None where they are done one by one."""
    validation: Tensor | None = None
    """What was read of the validation text at the end of the epoch, until it is judged; see `text_reading.Reader`."""
    steps: TextSteps = field(init=False)
    reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        """Make what takes the steps and what reads texts."""
        # Masks that are not computed from keys are drawn on the CPU for every step, which cannot be recorded.
        records = None if self.recipe.model.masks is None else self.recorder
        let_go = partial(self.optimiser.zero_grad, set_to_none=True)
        self.steps = TextSteps(self.recipe, self.corpus, self.model, self.descend, records, let_go)
        self.reader = Reader(self.model, self.recipe, self.recorder)

    @property
    def ended(self) -> dict[int, Exception]:
        """Return nothing: an error of this task is one of its only replica."""
        return {}

    @property
    def replicas(self) -> int:
        """Return 1: networks that are trained by themselves have kernels of their own."""
        return 1

    def train_epoch(self, epoch: int, should_stop: StopRequest = never) -> list[float]:
        """Train one pass over the training text; see `Task`.

        Returns:
            Mean cross-entropy over its words, in nats, without the regularisers.
        """
        for step in range(self.begin_epoch(epoch)):
            if should_stop():
                raise Stopped
            self.take_step(epoch, step)
        return [self.end_epoch(epoch)]

    def begin_epoch(self, epoch: int) -> int:
        """Move the bit where that is due, get ready for the steps of an epoch, and return how many there are."""
        self.bits = [move_late_bit(self.model, self.recipe, epoch) or self.bits[0]]
        self.model.train()
        if self.recipe.is_first_after_onset(epoch):
            self.reader.forget()
        self.steps.begin(epoch)
        return len(self.steps.segments.places)

    def take_step(self, epoch: int, step: int) -> None:
        """Take one step of an epoch that was begun, at the rate that belongs to its segment's place and size."""
        train, length = self.recipe.train, len(self.steps.words)
        start, size = self.steps.segments.places[step]
        rate = learning_rate((epoch - 1) * length + start, length, train)
        set_learning_rate(self.optimiser, rate * size / usual_length(self.recipe))
        self.steps.take(epoch, step)
        if self.averages:
            self.average.add(self.model)

    def descend(self, tokens: Tensor, state: State, masks: Masks) -> tuple[Tensor, State]:
        """Move the weights down the gradient of a segment's loss: only tensors decide, so that it can be recorded.

        Args:
            tokens: Read but for the last, predicted but for the first, (T+1, B).
            state: Before the segment, in the order of its streams, as is the one that is returned.
            masks: What is dropped.

        Returns:
            The mean loss before the step without the regularisers, nats (), and the state behind the segment.
        """
        recipe, model = self.recipe, self.model
        with autocast(recipe, tokens.device):
            reading = model.read(tokens[:-1], state, masks)
            logits = model.decode(reading.output)
            loss = functional.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten())
            whole = loss + regularise(reading, recipe)
        self.optimiser.zero_grad(set_to_none=True)
        whole.backward()
        if recipe.train.clip_grad_norm:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.train.clip_grad_norm)
        self.optimiser.step()
        return loss.detach(), reading.state

    def end_epoch(self, epoch: int) -> float:
        """Return the mean loss of an epoch's words, which is waited for."""
        return float(self.steps.total) / (len(self.steps.words) - 1)

    def evaluate(self, epoch: int) -> list[TextEvaluation]:
        """Judge the test text at the end of an epoch."""
        return [self.judge(self.predict(epoch))]

    def predict(self, epoch: int) -> Tensor:
        """Read the test text, and the validation text for `keep`, at the end of an epoch; nobody waits for it."""
        return self._with_average(self._read_both)

    def _read_both(self) -> Tensor:
        self.validation = self.reader.read(self.corpus.valid) if validates(self.recipe.train) else None
        return self.reader.read(self.corpus.test)

    def judge(self, seen: Tensor) -> TextEvaluation:
        """Compute the figures of what `predict` has read, which is waited for."""
        return judge_seen(self.corpus.test, seen)

    def keep(self, epoch: int, evaluations: Sequence[TextEvaluation | None]) -> None:
        """Keep the weights where validation is best so far; switch to averaged SGD once it stops getting better."""
        if evaluations[0] is None or not validates(self.recipe.train):
            return
        seen, self.validation = self.validation, None
        if seen is None:
            seen = self._with_average(lambda: self.reader.read(self.corpus.valid))
        loss = judge_seen(self.corpus.valid, seen).cross_entropy
        if self.recipe.train.select is not None:
            self.best.offer(loss, self.average.mean or dict(self.model.named_parameters()))
        if self.recipe.train.optimizer == "nt-asgd":
            self.averages = self.averages or stagnates(self.valid_losses, loss)
            self.valid_losses.append(loss)

    def finish(self, replica: int, epoch: int, evaluation: TextEvaluation, *, diverged: bool) -> TextEvaluation:
        """Return the final prediction, and leave the weights that it is made with in the model.

        They are those with the best validation where the recipe says so, else averaged ones where there are any.
        """
        if diverged:
            return evaluation
        if self.best.weights:
            self.best.copy_to(dict(self.model.named_parameters()))
        elif self.average.count:
            self.average.copy_to(self.model)
        return judge_final(self.reader, self.corpus, self.recipe) if judges_again(self.recipe) else evaluation

    def last_rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch's last step, for a segment of the usual length."""
        return last_rate(epoch, self.recipe.train)

    def weights(self, replica: int) -> dict[str, Tensor]:
        """Return the model's weights by name."""
        return self.model.state_dict()

    def digests(self) -> list[str]:
        """Return the digest of the weights and buffers."""
        return [digest_model(self.model)]

    def capture(self, replica: int, *, epoch: int, seconds: float) -> Checkpoint:
        """Return the state of weights, optimiser, average and validation."""
        extra = self.average.state() | validation_state(self.valid_losses, averages=self.averages)
        return capture(self.model, self.optimiser, extra | self.best.state(), epoch=epoch, seconds=seconds)

    def restore(self, starts: Sequence[Checkpoint]) -> None:
        """Restore the state of a checkpoint."""
        (start,) = starts
        restore(start, self.model, self.optimiser)
        self.average.restore(start.extra, self.corpus.train.device)
        self.averages, self.valid_losses = read_validation_state(start.extra)
        self.best.restore(start.extra, self.corpus.train.device)

    def describe(self) -> TaskFacts:
        """Return what a person wants to know of data and model before training."""
        return TaskFacts(
            train_examples=len(self.corpus.train),
            test_examples=len(self.corpus.test_labels),
            input_shape=(),
            classes=len(self.corpus.vocabulary),
            stochastic=True,
        )

    def count_steps(self) -> int:
        """Estimate the number of segments of an epoch; they have random lengths."""
        return estimate_steps(self.corpus, self.recipe)

    def evaluate_part(self) -> float:
        """Read some of the test text, so that it can be timed, and return its share."""
        part = self.corpus.test[:TIMED_WORDS]
        judge_seen(part, self.reader.read(part))
        return len(part) / len(self.corpus.test)

    def repeatable_loss(self) -> Tensor:
        """Return the loss of the first segment, a function of the weights alone."""
        streams = make_streams(self.corpus.train, self.recipe.train.batch_size)[: usual_length(self.recipe) + 1]
        reading = self.model.read(streams[:-1], self.model.start(streams.shape[1]), None)
        return functional.cross_entropy(self.model.decode(reading.output).flatten(0, 1), streams[1:].flatten())

    def _with_average(self, read: Callable[[], Tensor]) -> Tensor:
        """Read with the averaged weights, where there are any, and go on training the others."""
        if not self.average.count:
            return read()
        kept = WeightAverage()
        kept.add(self.model)
        self.average.copy_to(self.model)
        seen = read()
        kept.copy_to(self.model)
        return seen


def prepare(recipe: Recipe, corpus: Corpus, *, device: torch.device, recorder: Recorder | None = None) -> TextTask:
    """Build the model, move its bit, and make its optimiser.

    Args:
        recipe: The run's.
        corpus: Its text, on the device.
        device: Where it is trained.
        recorder: Records its steps on a GPU; None where they are taken one by one.
    """
    with initialised_under(recipe.seeds.init):
        model = Qrnn(len(corpus.vocabulary), dict(recipe.model.args))
    bit = move_early_bit(model, recipe)
    model.to(device).train()
    optimiser = make_optimiser(model.named_parameters(), recipe.train)
    if device.type == "cuda":
        place_rates(optimiser, device)
    return TextTask(recipe, corpus, model, optimiser, [bit], recorder=recorder)


def estimate_steps(corpus: Corpus, recipe: Recipe) -> int:
    """Estimate the number of segments of an epoch from their usual length."""
    return max(1, len(corpus.train) // recipe.train.batch_size // usual_length(recipe))


def last_rate(epoch: int, train: TrainRecipe) -> float:
    """Return the learning rate of an epoch's last step, for a segment of the usual length."""
    return learning_rate(epoch * MANY_STEPS - 1, MANY_STEPS, train)


def validation_state(losses: Sequence[float], *, averages: bool) -> dict[str, Tensor]:
    """Return what a checkpoint holds of the switch to averaged SGD."""
    return {"valid_losses": torch.tensor(losses, dtype=torch.float64), "averages": torch.tensor(averages)}


def read_validation_state(extra: Mapping[str, Tensor]) -> tuple[bool, list[float]]:
    """Return whether weights are averaged, and the validation losses; inverse of `validation_state`."""
    return bool(extra["averages"]), extra["valid_losses"].tolist()


def validates(train: TrainRecipe) -> bool:
    """Tell whether the validation text is read after every epoch."""
    return train.optimizer == "nt-asgd" or train.select is not None


def stagnates(losses: Sequence[float], loss: float) -> bool:
    """Tell whether a validation loss is worse than the best of those before it but the last five."""
    before = losses[:-NONMONOTONE_EPOCHS]
    return bool(before) and loss > min(before)


def regularise(reading: Reading, recipe: Recipe) -> Tensor:
    """Compute α·mean(dropped²) + β·mean((h_t − h_{t−1})²) of the last layer's activations.

    Source: Merity et al., "Revisiting Activation Regularization for Language RNNs", 2017.
    """
    activation = (recipe.train.activation_reg or 0.0) * reading.output.square().mean()
    if len(reading.raw) < 2:
        return activation
    return activation + (recipe.train.slowness_reg or 0.0) * (reading.raw[1:] - reading.raw[:-1]).square().mean()


def judges_again(recipe: Recipe) -> bool:
    """Tell whether the final prediction is another than that of the last epoch."""
    return recipe.train.select is not None or recipe.streams is not None


def judge_final(reader: Reader, corpus: Corpus, recipe: Recipe) -> TextEvaluation:
    """Judge the test text with a reader's final weights, in as many streams as the recipe says.

    Source: main.py of awd-lstm-lm, which reads the test text once, as one stream, with the best weights. It divides the
    sum over the N − 1 predicted words by N; here it is N − 1.
    """
    return judge_seen(corpus.test, reader.read(corpus.test, recipe.streams or EVALUATION_STREAMS))
