"""Fully connected networks without autograd: gradients by hand, from the operations that autograd would call.

A step of such a network on a CPU is a few products of some microseconds each; building and walking a graph, and finding
out what to do at each of its nodes, costs several times as much. Operations, their order and the layout of their
matrices are those of the usual way, so the bits are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from engine.recipe import Recipe
from engine.training.cross_entropy import CrossEntropy
from engine.training.models.builders import HiddenFullyConnected, Linear

Layers = tuple[tuple[Tensor, Tensor], ...]
"""Weights (O, F) and biases (O,) of each layer, from the inputs on."""

unrectify = torch.ops.aten.threshold_backward.grad_input


def find_layers(model: nn.Module) -> tuple[str, ...] | None:
    """Return the names of a network's linear layers in their order, with a ReLU between any two of them.

    None for networks that hold anything else: only the project's own are known.
    """
    if type(model) not in (Linear, HiddenFullyConnected):
        return None
    return tuple(name for name, module in model.named_modules() if isinstance(module, nn.Linear))


def is_by_hand(recipe: Recipe, device: torch.device) -> bool:
    """Tell whether a recipe's precision and device leave the operations of a step as they are written down here.

    The kernels of a network that is compiled by itself are others.
    """
    return device.type == "cpu" and recipe.train.precision != "bf16" and recipe.compiled is not True


def put_gradients(slope: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> None:
    """Leave the gradients of a layer (O, F) that has seen x (B, F), by that of its values (B, O).

    Where gradients are there they are written over, which saves half of what these two operations take.
    """
    if weight.grad is None or bias.grad is None:
        weight.grad, bias.grad = torch.empty_like(weight), torch.empty_like(bias)
    torch.sum(slope, 0, out=bias.grad)
    torch.mm(slope.t(), x, out=weight.grad)


class Rooms:
    """Memory for the values inside a network, kept from batch to batch: to ask the system for it anew costs more."""

    def __init__(self) -> None:
        """Begin without any."""
        self._rooms: dict[tuple[int, int, int], Tensor] = {}

    def multiply(self, layer: int, bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """Return x W' + b (B, O) of (B, F), (O, F) and (O,), until a layer's is wanted for as many examples again."""
        return torch.addmm(bias, x, weight.t(), out=self._find(layer, len(x), len(bias), like=x))

    def multiply_back(self, layer: int, slope: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        """Return the gradient by what a ReLU was given, of the layer (O, F) that saw its values x (B, F).

        Args:
            layer: The layer's number.
            slope: The gradient by the layer's values, (B, O).
            weight: The layer's.
            x: What it saw.
        """
        room = torch.mm(slope, weight, out=self._find(-layer, len(x), x.shape[1], like=x))
        return unrectify(room, x, 0, grad_input=room)

    def _find(self, number: int, rows: int, columns: int, *, like: Tensor) -> Tensor:
        key = number, rows, columns
        if key not in self._rooms:
            self._rooms[key] = like.new_empty(rows, columns)
        return self._rooms[key]


@dataclass(frozen=True)
class DenseNetwork:
    """One network; its parameters are changed by others between two steps, in place."""

    layers: Layers
    rooms: Rooms = field(default_factory=Rooms)
    losses: CrossEntropy = field(default_factory=CrossEntropy)

    @torch.no_grad()
    def differentiate(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of a batch (B, …), nats (), and leave its gradient in the parameters' `grad`."""
        values, logits = self._pass(inputs)
        loss, slope = self.losses.differentiate(logits, labels)
        slope = slope.contiguous()
        for number, (weight, bias) in reversed(list(enumerate(self.layers))):
            put_gradients(slope, values[number], weight, bias)
            if number:
                slope = self.rooms.multiply_back(number, slope, weight, values[number])
        return loss

    @torch.no_grad()
    def classify(self, inputs: Tensor) -> Tensor:
        """Return the logits (B, C) of a batch (B, …)."""
        return self._pass(inputs)[1]

    def _pass(self, inputs: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return what each layer sees, and the logits, which alone outlast the next call."""
        values = [inputs.flatten(1)]
        for layer, (weight, bias) in enumerate(self.layers[:-1]):
            values.append(torch.relu_(self.rooms.multiply(layer, bias, values[-1], weight)))
        weight, bias = self.layers[-1]
        return values, torch.addmm(bias, values[-1], weight.t())


def open_network(model: nn.Module) -> DenseNetwork | None:
    """Return what differentiates a network by hand; None where it is not known."""
    names = find_layers(model)
    if names is None:
        return None
    found = [model.get_submodule(name) for name in names]
    return DenseNetwork(tuple((layer.weight, layer.bias) for layer in found if isinstance(layer, nn.Linear)))
