"""A language model's steps: what an epoch needs is copied to the device at once, and each step can be recorded.

Nobody waits between the steps: windows of the text are taken on the device, masks are computed there from keys, and
losses are summed there. Segments have many lengths, and each length has a recording of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from engine.recipe import Recipe
from engine.training.data.batches import send
from engine.training.data.text import Corpus, cut_segments, make_streams
from engine.training.models.qrnn import Masks, Qrnn, State, reorder_streams
from engine.training.random.seeding import batch_order, keyed_generator, segment_keys, step_generator
from engine.training.recording.recorder import Recorder
from engine.training.recording.repeater import Repeater

Descend = Callable[[Tensor, State, Masks], tuple[Tensor, State]]
"""Moves weights down the gradient of a segment's loss, by tokens (T+1, B), the state before it and its masks; returns
the loss and the state behind it."""

SHORT_SEGMENTS = 0.05
"""Share of segments of half the length."""

SEGMENT_SD = 5.0
SHORTEST_SEGMENT = 5


@dataclass(frozen=True)
class Segments:
    """Holds what has to be known of an epoch's steps beforehand."""

    places: list[tuple[int, int]]
    """Start and size of each step's segment."""
    rows: Tensor
    """Of each step: the order of the streams inside the minibatch, the way back from it, and the keys of masks, where
    they are computed from keys, int64 (steps, 2·B or 2·B + masks), on the device."""


@dataclass
class TextSteps:
    """Takes a language model's steps."""

    recipe: Recipe
    corpus: Corpus
    """On the device."""
    model: Qrnn
    descend: Descend
    recorder: Recorder | None
    """None where nothing is recorded."""
    let_go: Callable[[], object]
    """Drops the gradients, which a recorded step makes anew."""
    total: Tensor = field(init=False)
    """Sum of the losses of the epoch's words so far, which a recorded step adds to."""
    segments: Segments = field(init=False)
    """Of the epoch."""

    def __post_init__(self) -> None:
        """Cut the text into streams, and make room for the losses."""
        self.words = make_streams(self.corpus.train, self.recipe.train.batch_size)
        self._numbers = torch.arange(len(self.words), device=self.words.device)
        self.total = torch.zeros((), device=self.words.device)
        self._state: State = []
        """What the text read so far leaves, always in the same memory."""
        self._step = Repeater(self._take, self.recorder, let_go=self.let_go)

    def begin(self, epoch: int) -> None:
        """Copy what the steps of an epoch need to the device, and go back to the beginning of the text."""
        if self.recipe.is_first_after_onset(epoch):
            self._step.forget()  # from here on other kernels may be allowed
        self._state = self._state or self.model.start(self.recipe.train.batch_size)
        for part in self._state:
            part.zero_()
        self.segments = send_segments(self.recipe.at(epoch), self.words, self.model, epoch)
        self.total.zero_()

    def take(self, epoch: int, step: int) -> None:
        """Take one step of an epoch that was begun."""
        recipe = self.recipe.at(epoch)
        start, size = self.segments.places[step]
        tensors = self._numbers[start : start + size + 1], self.segments.rows[step]
        if recipe.model.masks is None:
            drawn = self.model.draw_masks(
                recipe.train.batch_size, step_generator(recipe.seeds.stochastic or 0, epoch, step)
            )
            self._take(*tensors, drawn)
        else:
            self._step(*tensors)

    def find_longest(self) -> int:
        """Return the number of the epoch's step with the longest segment."""
        sizes = [size for _, size in self.segments.places]
        return sizes.index(max(sizes))

    def _take(self, numbers: Tensor, row: Tensor, drawn: Masks | None = None) -> None:
        """Take a step on some words of every stream; masks that are not drawn are computed from keys."""
        streams = self.recipe.train.batch_size
        order, back, keys = row[:streams], row[streams : 2 * streams], row[2 * streams :]
        masks = self.model.hash_masks(order, keys) if drawn is None else reorder_streams(drawn, order)
        tokens = self.words.index_select(0, numbers).index_select(1, order)
        loss, state = self.descend(tokens, [part.index_select(0, order) for part in self._state], masks)
        for part, after in zip(self._state, state, strict=True):
            part.copy_(after.index_select(0, back))
        self.total.add_(loss * (len(numbers) - 1))


def send_segments(recipe: Recipe, words: Tensor, model: Qrnn, epoch: int) -> Segments:
    """Draw the segments of an epoch, their orders and the keys of their masks, and copy them to the words' device."""
    seed = recipe.seeds.stochastic or 0
    places = list(cut_segments(len(words), segment_sizes(seed, epoch, usual_length(recipe))))
    orders = np.stack([stream_order(recipe, epoch, step) for step in range(len(places))])
    columns = [orders, np.argsort(orders, axis=1)]
    if recipe.model.masks is not None:
        columns.append(segment_keys(seed, epoch, len(places), model.count_masks()))
    return Segments(places, send(np.concatenate(columns, axis=1), words.device))


def usual_length(recipe: Recipe) -> int:
    """Return how many tokens a segment has that training reads; single ones vary around it."""
    assert recipe.train.bptt is not None, "recipes of language models say it"
    return recipe.train.bptt


def segment_sizes(seed: int, epoch: int, bptt: int) -> Iterator[int]:
    """Yield random lengths of an epoch's segments, a function of the stochastic source's seed and the epoch."""
    generator = keyed_generator(seed, "stochastic", epoch)
    while True:
        base = bptt / 2 if generator.random() < SHORT_SEGMENTS else bptt
        yield max(min(SHORTEST_SEGMENT, bptt), int(generator.normal(base, SEGMENT_SD)))


def stream_order(recipe: Recipe, epoch: int, step: int) -> np.ndarray:
    """Return the order of the streams inside a minibatch: same mathematics, other rounding."""
    size, seed = recipe.train.batch_size, recipe.seeds.lowlevel
    if recipe.lowlevel != "order" or seed is None:
        return np.arange(size)
    return batch_order(seed, epoch, step, size)


def make_masks(recipe: Recipe, model: Qrnn, epoch: int, steps: int) -> Iterator[Masks]:
    """Yield the masks of each step of an epoch, for the streams in their usual order."""
    streams, seed, device = recipe.train.batch_size, recipe.seeds.stochastic or 0, model.decoder_bias.device
    if recipe.model.masks is None:
        for step in range(steps):
            yield model.draw_masks(streams, step_generator(seed, epoch, step))
        return
    numbers = torch.arange(streams, device=device)
    for keys in send(segment_keys(seed, epoch, steps, model.count_masks()), device):
        yield model.hash_masks(numbers, keys)
