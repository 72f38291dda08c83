"""A pack of language models while it is trained.

Replicas read the same segments, so that they can be stacked; a text's segments are cut by the stochastic source, and
runs that differ in it are not of one pack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.recipe import Recipe
from engine.training.data.text import Corpus, cut_segments, make_streams
from engine.training.evaluation import autocast
from engine.training.models.qrnn import Masks, Qrnn, QrnnLayer, State, reorder_streams
from engine.training.optimiser import learning_rate
from engine.training.random.bit_change import BitRecord
from engine.training.random.seeding import step_generator
from engine.training.stacked.average import StackedAverage
from engine.training.stacked.layers import multiply
from engine.training.stacked.network import Pack
from engine.training.stacked.step import Recorder, Stepper
from engine.training.stopping import Stopped
from engine.training.tasks import text as language
from engine.training.tasks.text import (
    EVALUATION_SEGMENT,
    EVALUATION_STREAMS,
    TextEvaluation,
    regularise,
    segment_sizes,
    stream_order,
)


@dataclass(frozen=True)
class Segment:
    """What a step of all replicas needs; replicas come first where they do not share the batch."""

    tokens: Tensor
    """(T+1, B): read but for the last, predicted but for the first."""
    masks: Masks
    orders: Tensor
    """Of the streams inside the minibatch, (B,) or (K, B)."""
    size: int
    """Tokens that are predicted; shorter segments take smaller steps."""


@dataclass
class TextPack:
    """The parts of a pack; a `run.PackTask`."""

    recipes: list[Recipe]
    """One per slot; the last run may stand in several, to fill the pack."""
    data: Corpus
    device: torch.device
    models: list[nn.Module]
    bits: list[BitRecord | None]
    pack: Pack
    should_stop: Callable[[], bool]
    stepper: Stepper
    average: StackedAverage
    averages: list[bool] = field(default_factory=list)
    """Whether each replica's switch to averaged SGD has happened."""
    valid_losses: list[list[float]] = field(default_factory=list)

    @property
    def recipe(self) -> Recipe:
        """What all of them have in common."""
        return self.recipes[0]

    def count_steps(self) -> int:
        """Of an epoch, about: segments have random lengths."""
        return max(1, len(self.data.train) // self.recipe.train.batch_size // (self.recipe.train.bptt or 1))

    def train_epoch(self, epoch: int) -> Tensor:
        """One pass over the training text.

        Returns:
            Mean cross-entropy of each replica over its words, nats, without the regularisers, (K,).
        """
        recipe, length = self.recipe, len(self.data.train) // self.recipe.train.batch_size
        bptt, total = recipe.train.bptt or EVALUATION_SEGMENT, torch.zeros(self.pack.size, device=self.device)
        self.pack.train()
        state = self.start(recipe.train.batch_size)
        averaged = torch.tensor(self.averages, device=self.device)
        for start, segment in self.segments(epoch):
            if self.should_stop():
                raise Stopped
            rate = learning_rate((epoch - 1) * length + start, length, recipe.train) * segment.size / bptt
            losses, state = self.train_step(segment, state, rate=rate)
            if any(self.averages):
                self.average.add(self.pack.stacked, averaged)
            total += losses * segment.size
        return total / (length - 1)

    def start(self, streams: int) -> State:
        """The state before the first token, replicas first."""
        return [part.expand(self.pack.size, *part.shape) for part in self._model.start(streams)]

    @property
    def _model(self) -> Qrnn:
        model = self.models[0]
        assert isinstance(model, Qrnn), "text is read by the QRNN"
        return model

    def segments(self, epoch: int) -> Iterator[tuple[int, Segment]]:
        """Where each segment of an epoch starts, and the segment."""
        recipe, model = self.recipe, self._model
        streams, bptt = recipe.train.batch_size, recipe.train.bptt or EVALUATION_SEGMENT
        words, seed = make_streams(self.data.train, streams), recipe.seeds.stochastic or 0
        sizes = segment_sizes(seed, epoch, bptt)
        for step, (start, size) in enumerate(cut_segments(len(words), sizes)):
            masks = model.draw_masks(streams, step_generator(seed, epoch, step))
            tokens = words[start : start + size + 1]
            if self.pack.kind.shared_batch:
                order = stream_order(recipe, epoch, step).to(self.device)
                yield start, Segment(tokens[:, order], reorder_streams(masks, order), order, size)
            else:
                orders = torch.stack([stream_order(r, epoch, step) for r in self.recipes]).to(self.device)
                # (T+1, K, B) and (K, B, E): each replica reads the same streams in an order of its own.
                own = reorder_streams(masks, orders)
                yield start, Segment(tokens[:, orders].transpose(0, 1), own, orders, size)

    def train_step(self, segment: Segment, state: State, *, rate: float) -> tuple[Tensor, State]:
        """One step of every replica; returns their losses, nats (K,), and the state behind the segment."""
        after: State = []

        def losses(*tensors: Tensor) -> Tensor:
            whole, plain, *parts = self.losses(*tensors)
            after.extend([plain, *parts])
            return whole

        masks = segment.masks
        tensors = (segment.tokens, segment.orders, masks.words, masks.input, masks.output, *masks.hidden)
        self.stepper.step(losses, (*tensors, *masks.weights, *state), rate=rate)
        plain, *parts = after
        return plain.detach(), [part.detach() for part in parts]

    def losses(self, tokens: Tensor, orders: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Losses (K,) with the regularisers and without, nats, and the state behind a segment."""
        where = None if self.pack.kind.shared_batch else 0
        layers = len(self._model.sizes)
        shared = (None, where, where, *[where] * (layers - 1), *[None] * layers, *[0] * (layers + 1))
        with autocast(self.recipe, self.device):
            return self.pack.use(self._read, tokens, orders, *rest, in_dims=(where, where, *shared))

    def _read(self, network: nn.Module, tokens: Tensor, order: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Of one replica."""
        assert isinstance(network, Qrnn), "text is read by the QRNN"
        layers = len(network.sizes)
        words, inputs, output, *others = rest
        masks = Masks(words, inputs, others[: layers - 1], output, others[layers - 1 : 2 * layers - 1])
        state = others[2 * layers - 1 :]
        reading = network.read(tokens[:-1], [part[order] for part in state], masks)
        logits = network.decode(reading.output)
        by_word = functional.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten(), reduction="none")
        loss = by_word.mean()
        after = [part.index_select(0, torch.argsort(order)) for part in reading.state]
        return loss + regularise(reading, self.recipe), loss, *after

    def evaluate(self) -> list[TextEvaluation]:
        """The test text as each replica reads it."""
        return self.read(self.data.test)

    def read(self, words: Tensor) -> list[TextEvaluation]:
        """Every word but the first, predicted by each replica from those before it in its stream."""
        self.pack.eval()
        parameters = self.average.apply(self.pack.stacked)
        inputs, targets = language.cut_test(words)
        state, likeliest, log_probabilities = self.start(EVALUATION_STREAMS), [], []
        with torch.no_grad(), autocast(self.recipe, self.device):
            for start in range(0, len(inputs), EVALUATION_SEGMENT):
                part = slice(start, start + EVALUATION_SEGMENT)
                best, scores, *state = self.pack.use(
                    self._score,
                    inputs[part],
                    targets[part],
                    *state,
                    in_dims=(None, None, *[0] * len(state)),
                    parameters=parameters,
                )
                likeliest.append(best)
                log_probabilities.append(scores)
        best, scores = torch.cat(likeliest, dim=1), torch.cat(log_probabilities, dim=1)
        return [language.judge(words, best[slot], scores[slot]) for slot in range(self.pack.size)]

    def evaluate_part(self) -> float:
        """Read some of the test text, for the time; returns its share."""
        part = self.data.test[: 1 + EVALUATION_STREAMS * EVALUATION_SEGMENT]
        self.read(part)
        return len(part) / len(self.data.test)

    def _score(self, network: nn.Module, inputs: Tensor, targets: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Of one replica: likeliest words, log-probabilities of the true ones, state."""
        assert isinstance(network, Qrnn), "text is read by the QRNN"
        reading = network.read(inputs, list(state), None)
        return *language.score(network.decode(reading.output), targets), *reading.state

    def keep(self, epoch: int, evaluations: Sequence[TextEvaluation | None]) -> None:
        """Switch each replica to averaged SGD once its validation stops getting better."""
        if self.recipe.train.optimizer != "nt-asgd":
            return
        for slot, judged in enumerate(self.read(self.data.valid)):
            losses = self.valid_losses[slot]
            self.averages[slot] = self.averages[slot] or language.stagnates(losses, judged.cross_entropy)
            losses.append(judged.cross_entropy)

    def finish(self, slot: int, evaluation: TextEvaluation, *, diverged: bool) -> TextEvaluation:
        """The final prediction, and a replica's averaged weights in the pack where there are any."""
        if not diverged:
            with torch.no_grad():
                for name, value in self.average.apply(self.pack.stacked).items():
                    self.pack.stacked[name][slot] = value[slot]
        return evaluation

    def last_rate(self, epoch: int) -> float:
        """Learning rate of an epoch's last step, for a segment of the usual length."""
        return learning_rate(epoch * 1000 - 1, 1000, self.recipe.train)

    def state(self, slot: int) -> dict[str, Tensor]:
        """What a replica's checkpoint holds beside weights and optimiser."""
        losses = torch.tensor(self.valid_losses[slot], dtype=torch.float64)
        averages = torch.tensor(self.averages[slot])
        return self.average.state(slot) | {"valid_losses": losses, "averages": averages}

    def restore(self, states: Sequence[dict[str, Tensor]]) -> None:
        """Go on from the states of all replicas."""
        self.average.restore(states, self.pack.stacked)
        self.averages = [bool(state["averages"]) for state in states]
        self.valid_losses = [state["valid_losses"].tolist() for state in states]


def prepare(
    recipes: list[Recipe],
    corpus: Corpus,
    *,
    device: torch.device,
    recorder: Recorder | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TextPack:
    """Build every replica as it is built alone, and stack them; see `images.prepare`."""
    first, kind = recipes[0], recipes[0].pack
    assert kind is not None, "only packs are stacked"
    built = [language.prepare(recipe, corpus, device=device) for recipe in recipes]
    models: list[nn.Module] = [training.model for training, _ in built]
    pack = Pack(models, first.train, kind)
    if not kind.compiled:
        for module in pack.template.modules():
            if isinstance(module, (Qrnn, QrnnLayer)):
                module.multiply = multiply
    return TextPack(
        recipes=recipes,
        data=corpus,
        device=device,
        models=models,
        bits=[bit for _, bit in built],
        pack=pack,
        should_stop=should_stop,
        # Segments have many lengths, and each would have to be recorded by itself.
        stepper=Stepper(pack, first.train, None),
        average=StackedAverage(len(recipes), device),
        averages=[False] * len(recipes),
        valid_losses=[[] for _ in recipes],
    )
