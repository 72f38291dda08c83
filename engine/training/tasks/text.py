"""Training and judging a language model, one epoch at a time.

Source: main.py of github.com/salesforce/awd-lstm-lm, for segments, learning rates, regularisation and the switch to
averaged SGD.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.recipe import EVALUATION_STREAMS, Recipe, TrainRecipe
from engine.training.averaging import WeightAverage
from engine.training.best import BestWeights
from engine.training.checkpoint import Checkpoint, capture, restore
from engine.training.data.text import Corpus, cut_segments, make_streams
from engine.training.digests import digest_model
from engine.training.evaluation import autocast
from engine.training.models.qrnn import Qrnn, Reading, reorder_streams
from engine.training.optimiser import learning_rate, make_optimiser, set_learning_rate
from engine.training.random.bit_change import BitRecord, move_early_bit, move_late_bit
from engine.training.random.seeding import batch_order, initialised_under, keyed_generator, step_generator
from engine.training.stopping import Stopped, StopRequest, never
from engine.tuning.messages import TaskFacts

PREDICTION = np.dtype([("argmax", "<i4"), ("log_probability", "<f4")])
"""One word of the test text: the number of the likeliest word, and the natural log-probability of the true one."""

EVALUATION_SEGMENT = 70
TIMED_WORDS = 1 + EVALUATION_STREAMS * EVALUATION_SEGMENT
"""Words of the test text that are read where evaluation is only timed: one segment of each stream."""

SHORT_SEGMENTS = 0.05
"""Share of segments of half the length."""

SEGMENT_SD = 5.0
SHORTEST_SEGMENT = 5

MANY_STEPS = 1000
"""Steps of an epoch for the rate of its last one; how many there are differs from epoch to epoch."""

NONMONOTONE_EPOCHS = 5
"""Averaging begins once the validation loss is worse than the best of all epochs but the last five."""


@dataclass(frozen=True)
class TextEvaluation:
    """The test text as a model reads it."""

    predictions: np.ndarray
    """PREDICTION (N,)."""
    accuracy: float
    """Percent of words that were the likeliest."""
    cross_entropy: float
    """Nats per word."""

    @property
    def perplexity(self) -> float:
        """Return exp of the cross-entropy."""
        return math.exp(self.cross_entropy) if self.cross_entropy < 700 else math.inf

    @property
    def is_finite(self) -> bool:
        """Tell whether all log-probabilities are finite."""
        return bool(np.isfinite(self.predictions["log_probability"]).all())

    def to_array(self) -> np.ndarray:
        """Return the predictions as they are saved."""
        return self.predictions


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
        recipe, model, optimiser = self.recipe.at(epoch), self.model, self.optimiser
        self.bits = [move_late_bit(model, self.recipe, epoch) or self.bits[0]]
        bptt, seed = usual_length(recipe), recipe.seeds.stochastic or 0
        streams = make_streams(self.corpus.train, recipe.train.batch_size)
        length = len(streams)
        state = model.start(recipe.train.batch_size)
        total = torch.zeros((), device=streams.device)
        model.train()
        for step, (start, size) in enumerate(cut_segments(length, segment_sizes(seed, epoch, bptt))):
            if should_stop():
                raise Stopped
            order = stream_order(recipe, epoch, step).to(streams.device)
            masks = model.draw_masks(recipe.train.batch_size, step_generator(seed, epoch, step))
            masks = reorder_streams(masks, order)
            rate = learning_rate((epoch - 1) * length + start, length, recipe.train)
            set_learning_rate(optimiser, rate * size / bptt)
            with autocast(recipe, streams.device):
                tokens = streams[start : start + size + 1, order]
                reading = model.read(tokens[:-1], [part[order] for part in state], masks)
                logits = model.decode(reading.output)
                loss = functional.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten())
                whole = loss + regularise(reading, recipe)
            state = [part.index_select(0, torch.argsort(order)) for part in reading.state]
            optimiser.zero_grad(set_to_none=True)
            whole.backward()
            if recipe.train.clip_grad_norm:
                nn.utils.clip_grad_norm_(model.parameters(), recipe.train.clip_grad_norm)
            optimiser.step()
            if self.averages:
                self.average.add(model)
            total += loss.detach() * size
        return [float(total) / (length - 1)]

    def evaluate(self, epoch: int) -> list[TextEvaluation]:
        """Judge the test text at the end of an epoch."""
        return [self._with_average(lambda: evaluate(self.model, self.corpus.test, self.recipe))]

    def keep(self, epoch: int, evaluations: Sequence[TextEvaluation | None]) -> None:
        """Keep the weights where validation is best so far; switch to averaged SGD once it stops getting better."""
        if evaluations[0] is None or not validates(self.recipe.train):
            return
        loss = self._with_average(self._validate).cross_entropy
        if self.recipe.train.optimizer == "nt-asgd":
            self.averages = self.averages or stagnates(self.valid_losses, loss)
            self.valid_losses.append(loss)

    def _validate(self) -> TextEvaluation:
        """Judge the validation text, and keep the weights with which that was done where they are the best so far."""
        judged = evaluate(self.model, self.corpus.valid, self.recipe)
        if self.recipe.train.select is not None:
            self.best.offer(judged.cross_entropy, dict(self.model.named_parameters()))
        return judged

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
        return judge_final(self.model, self.corpus, self.recipe) if judges_again(self.recipe) else evaluation

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
        evaluate(self.model, part, self.recipe)
        return len(part) / len(self.corpus.test)

    def repeatable_loss(self) -> Tensor:
        """Return the loss of the first segment, a function of the weights alone."""
        streams = make_streams(self.corpus.train, self.recipe.train.batch_size)[: usual_length(self.recipe) + 1]
        reading = self.model.read(streams[:-1], self.model.start(streams.shape[1]), None)
        return functional.cross_entropy(self.model.decode(reading.output).flatten(0, 1), streams[1:].flatten())

    def _with_average(self, judge: Callable[[], TextEvaluation]) -> TextEvaluation:
        """Judge the averaged weights, where there are any, and go on training the others."""
        if not self.average.count:
            return judge()
        kept = WeightAverage()
        kept.add(self.model)
        self.average.copy_to(self.model)
        judged = judge()
        kept.copy_to(self.model)
        return judged


def prepare(recipe: Recipe, corpus: Corpus, *, device: torch.device) -> TextTask:
    """Build the model, move its bit, and make its optimiser."""
    with initialised_under(recipe.seeds.init):
        model = Qrnn(len(corpus.vocabulary), dict(recipe.model.args))
    bit = move_early_bit(model, recipe)
    model.to(device).train()
    return TextTask(recipe, corpus, model, make_optimiser(model.named_parameters(), recipe.train), [bit])


def usual_length(recipe: Recipe) -> int:
    """Return how many tokens a segment has that training reads; single ones vary around it."""
    assert recipe.train.bptt is not None, "recipes of language models say it"
    return recipe.train.bptt


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


def segment_sizes(seed: int, epoch: int, bptt: int) -> Iterator[int]:
    """Yield random lengths of an epoch's segments, a function of the stochastic source's seed and the epoch."""
    generator = keyed_generator(seed, "stochastic", epoch)
    while True:
        base = bptt / 2 if generator.random() < SHORT_SEGMENTS else bptt
        yield max(min(SHORTEST_SEGMENT, bptt), int(generator.normal(base, SEGMENT_SD)))


def stream_order(recipe: Recipe, epoch: int, step: int) -> Tensor:
    """Return the order of the streams inside a minibatch: same mathematics, other rounding."""
    size, seed = recipe.train.batch_size, recipe.seeds.lowlevel
    if recipe.lowlevel != "order" or seed is None:
        return torch.arange(size)
    return torch.from_numpy(batch_order(seed, epoch, step, size))


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


def judge_final(model: Qrnn, corpus: Corpus, recipe: Recipe) -> TextEvaluation:
    """Judge the test text with the final weights, in as many streams as the recipe says.

    Source: main.py of awd-lstm-lm, which reads the test text once, as one stream, with the best weights. It divides the
    sum over the N − 1 predicted words by N; here it is N − 1.
    """
    return evaluate(model, corpus.test, recipe, streams=recipe.streams or EVALUATION_STREAMS)


def evaluate(model: Qrnn, words: Tensor, recipe: Recipe, *, streams: int = EVALUATION_STREAMS) -> TextEvaluation:
    """Judge every word but the first, predicted from those before it in its stream."""
    model.eval()
    inputs, targets = cut_test(words, streams)
    state = model.start(streams)
    likeliest: list[Tensor] = []
    log_probabilities: list[Tensor] = []
    with torch.no_grad(), autocast(recipe, words.device):
        for start in range(0, len(inputs), EVALUATION_SEGMENT):
            part = slice(start, start + EVALUATION_SEGMENT)
            reading = model.read(inputs[part], state, None)
            state = reading.state
            best, scores = score(model.decode(reading.output), targets[part])
            likeliest.append(best)
            log_probabilities.append(scores)
    return judge(words, torch.cat(likeliest), torch.cat(log_probabilities))


def cut_test(words: Tensor, streams: int = EVALUATION_STREAMS) -> tuple[Tensor, Tensor]:
    """Return what is read and what is predicted, (T, streams) each; filled up with word 0."""
    count = len(words) - 1
    length = -(-count // streams)
    padded = words.new_zeros(2, length * streams)
    padded[0, :count], padded[1, :count] = words[:-1], words[1:]
    inputs, targets = padded.view(2, streams, length).transpose(1, 2).contiguous()
    return inputs, targets


def score(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the likeliest words and the true ones' log-probabilities, of logits (T, B, V) and targets (T, B)."""
    scores = functional.log_softmax(logits.float(), dim=-1)
    return scores.argmax(-1), scores.gather(-1, targets[..., None]).squeeze(-1)


def judge(words: Tensor, likeliest: Tensor, log_probabilities: Tensor) -> TextEvaluation:
    """Compute the figures of what `score` says of a text cut by `cut_test`, (T, streams) each."""
    count = len(words) - 1
    predictions = np.empty(count, dtype=PREDICTION)
    predictions["argmax"] = likeliest.t().flatten()[:count].cpu().numpy()
    predictions["log_probability"] = log_probabilities.t().flatten()[:count].cpu().numpy()
    right = int(np.count_nonzero(predictions["argmax"] == words[1:].cpu().numpy()))
    cross_entropy = -float(predictions["log_probability"].astype(np.float64).mean())
    return TextEvaluation(predictions, 100.0 * right / count, cross_entropy)
