"""The language model of the paper's section 3.3: a QRNN with tied weights and the regularisers of AWD-LSTM.

Source: Bradbury et al., "Quasi-Recurrent Neural Networks", ICLR 2017; Merity et al., "Regularizing and Optimizing LSTM
Language Models", ICLR 2018; model.py, weight_drop.py, locked_dropout.py and embed_regularize.py of
github.com/salesforce/awd-lstm-lm. The first layer sees two tokens, the others one; the last has the embedding's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.training.models.recurrence import pool
from engine.training.random.seeding import HASH_RANGE, hash_grids

EMBEDDING_RANGE = 0.1

Multiply = Callable[[Tensor, Tensor, Tensor], Tensor]
"""x W' + b."""

State = list[Tensor]
"""Per layer the last c (B, H), then the last embedded token (B, E) that the first layer's window reaches back to."""


class Masks(NamedTuple):
    """Holds what a training step drops; each mask is already scaled by 1/(1−rate).

    A named tuple, as `torch.func.vmap` looks for tensors in tuples and lists, and in no other records.
    """

    words: Tensor
    """(V, 1): whole words of the embedding."""
    input: Tensor
    """(B, E), held over all tokens of a step, as are the next two."""
    hidden: list[Tensor]
    """(B, H) behind every layer but the last."""
    output: Tensor
    weights: list[Tensor]
    """The mask of each layer's matrix."""


@dataclass(frozen=True)
class Reading:
    """Holds what the network makes of a segment."""

    output: Tensor
    """(T, B, E): the last layer's activations, dropped."""
    raw: Tensor
    """The same before dropout."""
    state: State


class QrnnLayer(nn.Module):
    """One matrix to candidate, forget gate and output gate, and f-pooling over the tokens."""

    def __init__(self, inputs: int, outputs: int, window: int) -> None:
        """Make one matrix for `window` tokens: this one and those before it."""
        super().__init__()
        self.window, self.outputs = window, outputs
        self.multiply: Multiply = functional.linear
        self.linear = nn.Linear(window * inputs, 3 * outputs)

    def forward(self, x: Tensor, cell: Tensor, last_input: Tensor, weight_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map (T, B, I) to (T, B, H), and return the last cell state (B, H) with it."""
        weight = self.linear.weight if weight_mask is None else self.linear.weight * weight_mask
        if self.window == 2:
            x = torch.cat([x, torch.cat([last_input[None], x[:-1]])], dim=-1)
        candidate, forget, output = self.multiply(x, weight, self.linear.bias).chunk(3, dim=-1)
        cells = pool(candidate.tanh(), forget.sigmoid(), cell)
        return output.sigmoid() * cells, cells[-1]


class Qrnn(nn.Module):
    """Embedding, layers, and a decoder that shares the embedding's weights."""

    def __init__(self, vocabulary: int, arguments: dict[str, Any]) -> None:
        """Take sizes and rates by their names in `presets.QRNN_ARGS`."""
        super().__init__()
        self.rates = {name: float(value) for name, value in arguments.items() if "drop" in name}
        embedding, hidden, layers = (int(arguments[name]) for name in ("embedding", "hidden", "layers"))
        self.multiply: Multiply = functional.linear
        self.sizes = [hidden] * (layers - 1) + [embedding]
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.layers = nn.ModuleList(
            QrnnLayer(embedding if i == 0 else hidden, size, window=2 if i == 0 else 1)
            for i, size in enumerate(self.sizes)
        )
        self.matrix_shapes = [layer.linear.weight.shape for layer in self.layers if isinstance(layer, QrnnLayer)]
        self.decoder_bias = nn.Parameter(torch.zeros(vocabulary))
        nn.init.uniform_(self.embedding.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)

    def use_product(self, multiply: Multiply) -> None:
        """Let every layer and the decoder compute x W' + b with another function."""
        self.multiply = multiply
        for layer in self.layers:
            if isinstance(layer, QrnnLayer):
                layer.multiply = multiply

    def start(self, streams: int) -> State:
        """Return the state before the first token: zeros."""
        like = self.decoder_bias
        sizes = [*self.sizes, self.embedding.embedding_dim]
        return [like.new_zeros(streams, size) for size in sizes]

    def read(self, tokens: Tensor, state: State, masks: Masks | None) -> Reading:
        """Read a segment (T, B) of every stream, from where the last one ended."""
        weight = self.embedding.weight if masks is None else self.embedding.weight * masks.words
        x = functional.embedding(tokens, weight)
        x = x if masks is None else x * masks.input
        after: State = []
        raw, last_input = x, x[-1].detach()
        for number, layer in enumerate(self.layers):
            mask = None if masks is None else masks.weights[number]
            raw, cell = layer(x, state[number], state[-1], mask)
            after.append(cell.detach())
            x = raw
            if masks is not None:
                x = raw * (masks.hidden[number] if number < len(masks.hidden) else masks.output)
        return Reading(output=x, raw=raw, state=[*after, last_input])

    def decode(self, output: Tensor) -> Tensor:
        """Return the logits (…, V) of what comes next."""
        return self.multiply(output, self.embedding.weight, self.decoder_bias)

    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks:
        """Draw the masks of one step, on the CPU so that they are equal on every device."""
        device, rates = self.decoder_bias.device, self.rates

        def keep(rate: float, *shape: int) -> Tensor:
            kept = (torch.rand(shape, generator=generator) >= rate).float() / (1 - rate)
            return kept.to(device)

        embedding = self.embedding.embedding_dim
        return Masks(
            words=keep(rates["dropout_words"], self.embedding.num_embeddings, 1),
            input=keep(rates["dropout_input"], streams, embedding),
            hidden=[keep(rates["dropout_hidden"], streams, size) for size in self.sizes[:-1]],
            output=keep(rates["dropout_output"], streams, embedding),
            weights=[keep(rates["weight_drop"], *shape) for shape in self.matrix_shapes],
        )

    def count_masks(self) -> int:
        """Return how many masks a step has."""
        return 2 + 2 * len(self.sizes)

    def hash_masks(self, streams: Tensor, keys: Tensor) -> Masks:
        """Compute the masks of one step from their keys, in integers, so that they are equal on every device.

        Args:
            streams: The numbers of the streams, in their order inside the minibatch, int64 (B,).
            keys: The key of each mask in the order of `Masks`, int64; see `seeding.segment_keys`.
        """
        rates, embedding = self.rates, self.embedding.embedding_dim

        def count(rows: int) -> Tensor:
            return torch.arange(rows, device=streams.device)

        grids: list[tuple[str, Tensor, int]] = [
            ("dropout_words", count(self.embedding.num_embeddings), 1),
            ("dropout_input", streams, embedding),
            *(("dropout_hidden", streams, size) for size in self.sizes[:-1]),
            ("dropout_output", streams, embedding),
            *(("weight_drop", count(rows), columns) for rows, columns in self.matrix_shapes),
        ]
        names, rows, columns = zip(*grids, strict=True)
        words, first, *rest = (
            (units >= round(rates[name] * HASH_RANGE)).float() / (1 - rates[name])
            for name, units in zip(names, hash_grids(keys, rows, columns), strict=True)
        )
        hidden = len(self.sizes) - 1
        return Masks(words=words, input=first, hidden=rest[:hidden], output=rest[hidden], weights=rest[hidden + 1 :])


def reorder_streams(masks: Masks, order: Tensor) -> Masks:
    """Return the same masks for the same streams in another order inside the minibatch."""
    return Masks(masks.words, masks.input[order], [m[order] for m in masks.hidden], masks.output[order], masks.weights)
