"""Reads a text with a language model: what it predicts of every word, and the figures of that."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.recipe import EVALUATION_STREAMS, Recipe
from engine.training.evaluation import autocast
from engine.training.models.qrnn import Qrnn, State
from engine.training.recording.recorder import Recorder
from engine.training.recording.repeater import Repeater

PREDICTION = np.dtype([("argmax", "<i4"), ("log_probability", "<f4")])
"""One word of the test text: the number of the likeliest word, and the natural log-probability of the true one."""

EVALUATION_SEGMENT = 70
TIMED_WORDS = 1 + EVALUATION_STREAMS * EVALUATION_SEGMENT
"""Words of the test text that are read where evaluation is only timed: one segment of each stream."""


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


class Reader:
    """Reads texts with a model, one segment after the other; on a GPU each segment's kernels can be recorded."""

    def __init__(self, model: Qrnn, recipe: Recipe, recorder: Recorder | None = None) -> None:
        """Take note of the model.

        Args:
            model: In any mode; reading leaves it in evaluation mode.
            recipe: Gives the precision.
            recorder: None where nothing is recorded.
        """
        self.model, self.recipe = model, recipe
        self._states: dict[int, State] = {}
        """By the number of streams, what was read so far leaves: a recorded segment finds it in the same memory."""
        self._pass = Repeater(self._read_segment, recorder)

    def forget(self) -> None:
        """Record anew from now on, as other kernels are to be used."""
        self._pass.forget()

    def read(self, words: Tensor, streams: int = EVALUATION_STREAMS) -> Tensor:
        """Return what is predicted of every word but the first from those before it in its stream; nobody waits for it.

        Returns:
            The likeliest words and the bits of the true ones' log-probabilities, int32 (2, T, streams); see `judge`.
        """
        self.model.eval()
        inputs, targets = cut_test(words, streams)
        if streams not in self._states:
            self._states[streams] = self.model.start(streams)
        for part in self._states[streams]:
            part.zero_()
        starts = range(0, len(inputs), EVALUATION_SEGMENT)
        segments = [slice(start, start + EVALUATION_SEGMENT) for start in starts]
        seen = [self._pass(inputs[segment], targets[segment]) for segment in segments]
        return torch.cat([part for part in seen if part is not None], dim=1)

    def _read_segment(self, inputs: Tensor, targets: Tensor) -> Tensor:
        state = self._states[inputs.shape[1]]
        with torch.no_grad(), autocast(self.recipe, inputs.device):
            reading = self.model.read(inputs, state, None)
            likeliest, log_probabilities = score(self.model.decode(reading.output), targets)
            for part, after in zip(state, reading.state, strict=True):
                part.copy_(after)
        return torch.stack([likeliest.int(), log_probabilities.view(torch.int32)])


def evaluate(model: Qrnn, words: Tensor, recipe: Recipe, *, streams: int = EVALUATION_STREAMS) -> TextEvaluation:
    """Judge every word but the first, predicted from those before it in its stream."""
    return judge_seen(words, Reader(model, recipe).read(words, streams))


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


def judge_seen(words: Tensor, seen: Tensor) -> TextEvaluation:
    """Compute the figures of what `Reader.read` returns of a text, which is waited for."""
    likeliest, bits = seen.cpu()
    return judge(words, likeliest, bits.view(torch.float32))


def judge(words: Tensor, likeliest: Tensor, log_probabilities: Tensor) -> TextEvaluation:
    """Compute the figures of what `score` says of a text cut by `cut_test`, (T, streams) each."""
    count = len(words) - 1
    predictions = np.empty(count, dtype=PREDICTION)
    predictions["argmax"] = likeliest.t().flatten()[:count].cpu().numpy()
    predictions["log_probability"] = log_probabilities.t().flatten()[:count].cpu().numpy()
    right = int(np.count_nonzero(predictions["argmax"] == words[1:].cpu().numpy()))
    cross_entropy = -float(predictions["log_probability"].astype(np.float64).mean())
    return TextEvaluation(predictions, 100.0 * right / count, cross_entropy)
