"""Stacked fully connected networks without autograd and vmap: the operations that these would call, with the same bits.

What is shared by all replicas, a batch and the first layer's product with it, is computed once; see `layers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.training.cross_entropy import CrossEntropy
from engine.training.dense import Rooms, find_layers, unrectify
from engine.training.stacked.network import Pack
from engine.training.stacked.products import multiply_each


@dataclass(frozen=True)
class DensePack:
    """Holds the stacked parameters, which others change between two steps, in place."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    """Weights (K, O, F) and biases (K, O), from the inputs on."""
    shared: bool
    """Whether training batches are shared."""
    rooms: Rooms = field(default_factory=Rooms)
    losses: CrossEntropy = field(default_factory=CrossEntropy)

    @torch.no_grad()
    def differentiate(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of each replica, nats (K,), and leave its gradient in the parameters' `grad`.

        Args:
            inputs: (B, …) where the replicas share it, else (K, B, …).
            labels: (B,) or (K, B).
        """
        values = self._pass(inputs, shared=self.shared)
        losses, slope = self.losses.differentiate(values[-1], labels)
        if len(self.layers) > 1 or not self.shared:
            slope = slope.contiguous()
        for number, (weight, bias) in reversed(list(enumerate(self.layers))):
            if number:
                bias.grad, weight.grad = slope.sum(1), multiply_each(slope.mT, values[number]).contiguous()
                slope = multiply_each(slope, weight)
                slope = unrectify(slope, values[number], 0, grad_input=slope).contiguous()
            elif self.shared:
                _differentiate_wide(weight, bias, values[0], slope)
            else:
                bias.grad, weight.grad = slope.sum(1), multiply_each(slope.mT, values[0]).contiguous()
        return losses

    @torch.no_grad()
    def classify(self, inputs: Tensor) -> Tensor:
        """Return the logits (K, B, C) of a batch (B, …) that all replicas see, until the next; not contiguous."""
        return self._pass(inputs, shared=True)[-1]

    def _pass(self, inputs: Tensor, *, shared: bool) -> list[Tensor]:
        """Return what each layer sees, and the logits: (B, F) for the first one of a shared batch, else (K, B, F)."""
        values = [inputs.flatten(1 if shared else 2)]
        for number, (weight, bias) in enumerate(self.layers):
            x = torch.relu_(values.pop()) if number else values.pop()
            wide = shared and number == 0
            values += [x, self._multiply_wide(x, weight, bias) if wide else multiply_each(x, weight.mT) + bias[:, None]]
        return values

    def _multiply_wide(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Map one batch (B, F) to (K, B, O), with the batch outermost in memory; see `layers._WideLinear`."""
        replicas, outputs = bias.shape
        wide = self.rooms.multiply(0, bias.reshape(-1), x, weight.reshape(replicas * outputs, -1))
        return wide.view(len(x), replicas, outputs).transpose(0, 1)


def open_pack(pack: Pack) -> DensePack | None:
    """Return what differentiates a pack by hand; None where its network is not known."""
    names = find_layers(pack.template)
    if names is None or pack.recipe.compiled:
        return None
    layers = tuple((pack.stacked[f"{name}.weight"], pack.stacked[f"{name}.bias"]) for name in names)
    return DensePack(layers, pack.recipe.shared_batch)


def _differentiate_wide(weight: Tensor, bias: Tensor, x: Tensor, slope: Tensor) -> None:
    """Leave the gradients of the layer that sees the shared batch (B, F), by those of its values (K, B, O)."""
    # Laid out anew: products of a transposed matrix round otherwise.
    grad = slope.transpose(0, 1).contiguous().view(len(x), -1)
    bias.grad = (grad.new_ones(1, len(x)) @ grad).view(bias.shape)
    weight.grad = (grad.t() @ x).view(weight.shape)
