"""Training and judging a pack of language models, one epoch at a time.

Replicas read the same segments, so that they can be stacked; a text's segments are cut by the stochastic source, and
runs that differ in it are not of one pack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.recipe import EVALUATION_STREAMS, Recipe
from engine.training.best import BestWeights
from engine.training.checkpoint import Checkpoint, capture
from engine.training.data.text import Corpus, cut_segments, make_streams
from engine.training.digests import digest_stacked
from engine.training.evaluation import autocast
from engine.training.models.qrnn import Masks, Qrnn, State, reorder_streams
from engine.training.optimiser import learning_rate
from engine.training.random.bit_change import BitRecord
from engine.training.stacked.average import StackedAverage
from engine.training.stacked.layers import multiply
from engine.training.stacked.network import Pack, fill_up
from engine.training.stacked.step import descend
from engine.training.stopping import Stopped, StopRequest, never
from engine.training.tasks import text
from engine.training.tasks.text import regularise
from engine.training.tasks.text_reading import (
    EVALUATION_SEGMENT,
    TIMED_WORDS,
    Reader,
    TextEvaluation,
    cut_test,
    judge,
    score,
)
from engine.training.tasks.text_steps import make_masks, segment_sizes, stream_order, usual_length


@dataclass(frozen=True)
class Segment:
    """Holds what a step of all replicas needs; replicas come first where they do not share the batch."""

    start: int
    """Its first token's place in the streams."""
    tokens: Tensor
    """(T+1, B): read but for the last, predicted but for the first."""
    masks: Masks
    orders: Tensor
    """The orders of the streams inside the minibatch, (B,) or (K, B)."""
    size: int
    """Tokens that are predicted; shorter segments take smaller steps."""


class Losses(NamedTuple):
    """Holds what replicas make of a segment; a named tuple for `torch.func.vmap`."""

    objective: Tensor
    """Mean cross-entropy with the regularisers, nats (K,): what is made smaller."""
    plain: Tensor
    """The loss without the regularisers, (K,)."""
    state: State
    """The state after the segment, replicas first."""


class Scores(NamedTuple):
    """Holds what replicas predict of a part of the text; a named tuple for `torch.func.vmap`."""

    likeliest: Tensor
    """Word numbers, (K, T, B)."""
    log_probabilities: Tensor
    """The log-probabilities of the true words, nats (K, T, B)."""
    state: State
    """The state after the part, replicas first."""


@dataclass
class StackedTextTask:
    """Trains a pack of language models; a `task.Task`."""

    recipes: list[Recipe]
    """One per slot; the last run may stand in several, to fill the pack."""
    data: Corpus
    device: torch.device
    models: list[nn.Module]
    """One per slot, to build and to take apart the pack."""
    bits: list[BitRecord | None]
    pack: Pack
    average: StackedAverage
    averages: list[bool] = field(default_factory=list[bool])
    """Whether each replica's switch to averaged SGD has happened."""
    valid_losses: list[list[float]] = field(default_factory=list[list[float]])
    bests: list[BestWeights] = field(default_factory=list[BestWeights])
    """Of each replica."""

    @property
    def ended(self) -> dict[int, Exception]:
        """Return nothing: an error of a pack is one of all its replicas."""
        return {}

    @property
    def replicas(self) -> int:
        """Return how many networks are stacked."""
        return self.pack.size

    @property
    def recipe(self) -> Recipe:
        """Return what all of them have in common."""
        return self.recipes[0]

    def count_steps(self) -> int:
        """Estimate the number of segments of an epoch; they have random lengths."""
        return text.estimate_steps(self.data, self.recipe)

    def train_epoch(self, epoch: int, should_stop: StopRequest = never) -> list[float]:
        """Train one pass over the training text; see `Task`.

        Returns:
            Mean cross-entropy of each replica over its words, nats, without the regularisers, (K,).
        """
        recipe, length = self.recipe, len(self.data.train) // self.recipe.train.batch_size
        bptt, total = usual_length(recipe), torch.zeros(self.pack.size, device=self.device)
        self.pack.train()
        state = self.start(recipe.train.batch_size)
        averaged = torch.tensor(self.averages, device=self.device)
        for segment in self.segments(epoch):
            if should_stop():
                raise Stopped
            rate = learning_rate((epoch - 1) * length + segment.start, length, recipe.train) * segment.size / bptt
            losses, state = self.train_step(segment, state, rate=rate)
            if any(self.averages):
                self.average.add(self.pack.stacked, averaged)
            total += losses * segment.size
        return (total / (length - 1)).tolist()

    def start(self, streams: int) -> State:
        """Return the state before the first token, replicas first."""
        return [part.expand(self.pack.size, *part.shape) for part in self._model.start(streams)]

    @property
    def _model(self) -> Qrnn:
        return _as_qrnn(self.models[0])

    def segments(self, epoch: int) -> Iterator[Segment]:
        """Yield the segments of an epoch in the order of the text."""
        recipe, model = self.recipe, self._model
        streams, bptt = recipe.train.batch_size, usual_length(recipe)
        words, seed = make_streams(self.data.train, streams), recipe.seeds.stochastic or 0
        places = list(cut_segments(len(words), segment_sizes(seed, epoch, bptt)))
        drawn = make_masks(recipe, model, epoch, len(places))
        for step, ((start, size), masks) in enumerate(zip(places, drawn, strict=True)):
            tokens = words[start : start + size + 1]
            if self.pack.recipe.shared_batch:
                order = torch.from_numpy(stream_order(recipe, epoch, step)).to(self.device)
                yield Segment(start, tokens[:, order], reorder_streams(masks, order), order, size)
            else:
                drawn_orders = np.stack([stream_order(r, epoch, step) for r in self.recipes])
                orders = torch.from_numpy(drawn_orders).to(self.device)
                # (T+1, K, B) and (K, B, E): each replica reads the same streams in an order of its own.
                own = reorder_streams(masks, orders)
                yield Segment(start, tokens[:, orders].transpose(0, 1), own, orders, size)

    def train_step(self, segment: Segment, state: State, *, rate: float) -> tuple[Tensor, State]:
        """Take one step of every replica.

        Steps of packs of text are not recorded.

        Args:
            segment: What is read.
            state: Before it, replicas first.
            rate: Learning rate of the step.

        Returns:
            Losses without the regularisers, nats (K,), and the state behind the segment.
        """
        self.pack.set_learning_rate(rate)
        losses = self.losses(segment, state)
        descend(self.pack, losses.objective, self.recipe.train)
        return losses.plain.detach(), [part.detach() for part in losses.state]

    def losses(self, segment: Segment, state: State) -> Losses:
        """Return what the replicas make of a segment, as a function of their weights."""
        own = None if self.pack.recipe.shared_batch else 0
        # Words and weights that are dropped are the same for all orders of the streams.
        by_mask = Masks(
            words=None,  # pyright: ignore[reportArgumentType] - a record of dimensions has the shape of one of tensors
            input=own,  # pyright: ignore[reportArgumentType]
            hidden=[own] * len(segment.masks.hidden),  # pyright: ignore[reportArgumentType]
            output=own,  # pyright: ignore[reportArgumentType]
            weights=[None] * len(segment.masks.weights),  # pyright: ignore[reportArgumentType]
        )
        with autocast(self.recipe, self.device):
            return self.pack.use(
                self._read, segment.tokens, segment.orders, segment.masks, state, in_dims=(own, own, by_mask, 0)
            )

    def _read(self, network: nn.Module, tokens: Tensor, order: Tensor, masks: Masks, state: State) -> Losses:
        """Return what one replica makes of a segment."""
        qrnn = _as_qrnn(network)
        reading = qrnn.read(tokens[:-1], [part[order] for part in state], masks)
        logits = qrnn.decode(reading.output)
        by_word = functional.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten(), reduction="none")
        loss = by_word.mean()
        after = [part.index_select(0, torch.argsort(order)) for part in reading.state]
        return Losses(loss + regularise(reading, self.recipe), loss, after)

    def evaluate(self, epoch: int) -> list[TextEvaluation]:
        """Judge each replica on the test text at the end of an epoch."""
        return self.read(self.data.test)

    def read(self, words: Tensor) -> list[TextEvaluation]:
        """Judge every word but the first, predicted by each replica from those before it in its stream."""
        self.pack.eval()
        parameters = self.average.apply(self.pack.stacked)
        inputs, targets = cut_test(words)
        state = self.start(EVALUATION_STREAMS)
        likeliest: list[Tensor] = []
        log_probabilities: list[Tensor] = []
        with torch.no_grad(), autocast(self.recipe, self.device):
            for start in range(0, len(inputs), EVALUATION_SEGMENT):
                part = slice(start, start + EVALUATION_SEGMENT)
                scores: Scores = self.pack.use(
                    _score, inputs[part], targets[part], state, in_dims=(None, None, 0), parameters=parameters
                )
                state = scores.state
                likeliest.append(scores.likeliest)
                log_probabilities.append(scores.log_probabilities)
        best, found = torch.cat(likeliest, dim=1), torch.cat(log_probabilities, dim=1)
        return [judge(words, best[slot], found[slot]) for slot in range(self.pack.size)]

    def evaluate_part(self) -> float:
        """Read some of the test text, so that it can be timed, and return its share."""
        part = self.data.test[:TIMED_WORDS]
        self.read(part)
        return len(part) / len(self.data.test)

    def keep(self, epoch: int, evaluations: Sequence[TextEvaluation | None]) -> None:
        """Keep each replica's best weights, and switch it to averaged SGD once its validation stops getting better."""
        train = self.recipe.train
        if not text.validates(train):
            return
        parameters = self.average.apply(self.pack.stacked)
        for slot, judged in enumerate(self.read(self.data.valid)):
            losses, loss = self.valid_losses[slot], judged.cross_entropy
            if train.select is not None:
                self.bests[slot].offer(loss, {name: value[slot] for name, value in parameters.items()})
            if train.optimizer == "nt-asgd":
                self.averages[slot] = self.averages[slot] or text.stagnates(losses, loss)
                losses.append(loss)

    def finish(self, replica: int, epoch: int, evaluation: TextEvaluation, *, diverged: bool) -> TextEvaluation:
        """Return a replica's final prediction, and leave the weights that it is made with in the pack.

        What is asked for beyond the last epoch's is judged by the network alone, as if it had been trained so.
        """
        if diverged:
            return evaluation
        chosen = self.bests[replica].weights or {
            name: value[replica] for name, value in self.average.apply(self.pack.stacked).items()
        }
        with torch.no_grad():
            for name, value in chosen.items():
                self.pack.stacked[name][replica] = value
        if not text.judges_again(self.recipe):
            return evaluation
        alone, _ = self.pack.member(replica, self.models[replica], self.recipe.train)
        return text.judge_final(Reader(_as_qrnn(alone), self.recipe), self.data, self.recipe)

    def last_rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch's last step, for a segment of the usual length."""
        return text.last_rate(epoch, self.recipe.train)

    def weights(self, replica: int) -> dict[str, Tensor]:
        """Return copies of a replica's weights by name."""
        return self.pack.state_of(replica)

    def digests(self) -> list[str]:
        """Return the digest of each replica's weights and buffers."""
        return digest_stacked({**self.pack.stacked, **self.pack.stacked_buffers})

    def capture(self, replica: int, *, epoch: int, seconds: float) -> Checkpoint:
        """Return the state that a replica would have if it had been trained by itself."""
        model, optimiser = self.pack.member(replica, self.models[replica], self.recipe.train)
        switch = text.validation_state(self.valid_losses[replica], averages=self.averages[replica])
        extra = self.average.state(replica) | switch | self.bests[replica].state()
        return capture(model, optimiser, extra, epoch=epoch, seconds=seconds)

    def restore(self, starts: Sequence[Checkpoint]) -> None:
        """Restore the state of every run; the last run's state also fills the places of the pack that are left."""
        filled = fill_up(starts, self.pack.size)
        self.pack.restore(filled, self.models, self.recipe.train)
        self.average.restore([start.extra for start in filled], self.pack.stacked)
        for slot, start in enumerate(filled):
            self.averages[slot], self.valid_losses[slot] = text.read_validation_state(start.extra)
            self.bests[slot].restore(start.extra, self.device)


def _as_qrnn(network: nn.Module) -> Qrnn:
    assert isinstance(network, Qrnn), "text is read by the QRNN"
    return network


def _score(network: nn.Module, inputs: Tensor, targets: Tensor, state: State) -> Scores:
    """Return what one replica predicts of a part of the text."""
    qrnn = _as_qrnn(network)
    reading = qrnn.read(inputs, state, None)
    return Scores(*score(qrnn.decode(reading.output), targets), reading.state)


def prepare(recipes: list[Recipe], corpus: Corpus, *, device: torch.device) -> StackedTextTask:
    """Build every replica as it is built by itself, and stack them.

    Args:
        recipes: One per slot, of one pack.
        corpus: Theirs, on the device.
        device: Where they are trained.
    """
    first = recipes[0]
    assert first.pack is not None, "only packs are stacked"
    built = [text.prepare(recipe, corpus, device=device) for recipe in recipes]
    models: list[nn.Module] = [task.model for task in built]
    pack = Pack(models, first.train, first.pack)
    if not first.pack.compiled:
        _as_qrnn(pack.template).use_product(multiply)
    return StackedTextTask(
        recipes=recipes,
        data=corpus,
        device=device,
        models=models,
        bits=[task.bits[0] for task in built],
        pack=pack,
        average=StackedAverage(len(recipes), device),
        averages=[False] * len(recipes),
        valid_losses=[[] for _ in recipes],
        bests=[BestWeights() for _ in recipes],
    )
