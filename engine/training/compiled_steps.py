"""Steps of a fully connected network on a CPU as one compiled program: a loop over passes, loss and optimiser.

To call a compiled function takes longer than a small network's step, as torch checks what it was compiled for. So the
loop over minibatches is compiled with the step; how many turns it takes is given, and changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.errors import CompileError
from engine.recipe import Recipe
from engine.training.compiler import compile_loop, find_while_loop
from engine.training.dense import DenseNetwork, Layers

MOST_EXAMPLES, MOST_NUMBERS = 4096, 4_000_000
"""Of the minibatches of one call: enough that the call itself does not count, few enough for any memory."""

CACHED_NUMBERS = 400_000
"""What a layer sees or makes of the examples that are classified together: it stays in a processor's cache."""


def open_steps(recipe: Recipe, dense: DenseNetwork | None, optimiser: torch.optim.Optimizer) -> CompiledSteps:
    """Return what takes whole steps of a network.

    Raises:
        CompileError: If this is not a network and optimiser whose steps are known.
    """
    if dense is None or not isinstance(optimiser, torch.optim.SGD):
        raise CompileError(f"{recipe.model.name}: whole steps are compiled of fully connected presets and SGD on a CPU")
    return CompiledSteps(dense.layers, optimiser, recipe.train.batch_size)


class State(NamedTuple):
    """Holds what steps move, in place."""

    weights: list[Tensor]
    """Of each layer its weights (O, F) and biases (O,); there is a ReLU between two layers."""
    momenta: list[Tensor]


class Minibatches(NamedTuple):
    """Holds what steps are taken on."""

    inputs: Tensor
    """float32 (S, B, F)."""
    labels: Tensor
    """int64 (S, B)."""
    rates: Tensor
    """The learning rate of each tensor in each step, (S, tensors)."""
    steps: Tensor
    """How many of the S are taken, int64 ()."""


class Factors(NamedTuple):
    """Holds settings of the optimiser that stay."""

    momentum: float
    decay: float


class CompiledSteps:
    """Takes the steps of a network whose optimiser is `torch.optim.SGD` with momentum."""

    def __init__(self, layers: Layers, optimiser: torch.optim.SGD, batch_size: int) -> None:
        """Take note of a network, whose weights stay in the same memory, and of its optimiser and minibatches."""
        self.optimiser, self.batch_size = optimiser, batch_size
        self._parameters = [tensor for layer in layers for tensor in layer]
        self._weights = [tensor.detach() for tensor in self._parameters]
        self.features = self._weights[0].shape[1]
        groups = enumerate(optimiser.param_groups)
        found = {id(parameter): number for number, group in groups for parameter in group["params"]}
        self._groups = [found[id(parameter)] for parameter in self._parameters]
        self._program = compile_loop(make_program())
        self._room: Minibatches | None = None

    @property
    def at_once(self) -> int:
        """Return how many steps one call takes: a function of the sizes alone, as each number is compiled by itself."""
        return max(1, min(MOST_EXAMPLES // self.batch_size, MOST_NUMBERS // (self.batch_size * self.features)))

    def scale_rates(self, rates: Sequence[float]) -> np.ndarray:
        """Return the learning rate of each tensor in steps of some rates, (steps, tensors)."""
        groups = self.optimiser.param_groups
        return np.outer(rates, [groups[number]["scale"] for number in self._groups])

    def read_rates(self) -> np.ndarray:
        """Return the learning rates that the optimiser has now, as those of a single step, (1, tensors)."""
        groups = self.optimiser.param_groups
        return np.array([[groups[number]["lr"] for number in self._groups]])

    def descend(self, inputs: Tensor, labels: Tensor, rates: np.ndarray) -> Tensor:
        """Take the steps of some minibatches, of which the last one alone may be smaller.

        Args:
            inputs: float32 (n, …), contiguous.
            labels: 0…C−1, int64 (n,).
            rates: Of each step the learning rates of all tensors; see `scale_rates`.

        Returns:
            The sum of the examples' losses, each before its step, nats ().
        """
        whole, total = len(labels) // self.batch_size, torch.zeros(())
        table, values = torch.from_numpy(rates.astype(np.float32)), inputs.flatten(1)
        end = whole * self.batch_size
        if whole:
            shape = whole, self.batch_size
            total += self._take(values[:end].unflatten(0, shape), labels[:end].view(shape), table[:whole])
        if end < len(labels):
            total += self._take(values[end:].unsqueeze(0), labels[end:].unsqueeze(0), table[whole:])
        return total

    @torch.no_grad()
    def classify(self, stored: Tensor, normalise: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the logits of examples, float32 (N, C), whose classes lie outermost in memory, as judging wants them.

        Args:
            stored: The examples (N, …), as many together as a cache holds: rounding depends on it.
            normalise: Makes inputs of them; nobody writes into these.
        """
        *hidden, (last, bias) = zip(self._weights[::2], self._weights[1::2], strict=True)
        logits, widest = last.new_empty(len(last), len(stored)), max(self.features, *(len(w) for w, _ in hidden), 1)
        size = max(1, CACHED_NUMBERS // widest)
        for inputs, room in zip(stored.split(size), logits.split(size, dim=1), strict=True):
            values = normalise(inputs).flatten(1)
            for weights, biases in hidden:
                values = torch.relu_(torch.addmm(biases, values, weights.t()))
            torch.mm(last, values.t(), out=room)
        return logits.add_(bias[:, None]).t()

    def _take(self, inputs: Tensor, labels: Tensor, rates: Tensor) -> Tensor:
        """Take the steps of minibatches of one size, (S, B, F), (S, B) and (S, tensors), and return what they lose."""
        steps, examples = labels.shape
        given = Minibatches(inputs, labels, rates, torch.tensor(steps))
        if examples == self.batch_size and steps < self.at_once:
            given = self._fill(given)
        group = self.optimiser.param_groups[0]
        factors = Factors(float(group["momentum"]), float(group["weight_decay"]))
        return self._program(State(self._weights, self._find_momenta()), given, factors) * examples

    def _fill(self, given: Minibatches) -> Minibatches:
        """Return fewer steps than a call takes in memory for as many, whose rest is not looked at."""
        room = self._room
        if room is None:
            inputs, labels, rates = (tensor.new_zeros(self.at_once, *tensor.shape[1:]) for tensor in given[:3])
            room = self._room = Minibatches(inputs, labels, rates, given.steps)
        for wide, tensor in zip(room[:3], given[:3], strict=True):
            wide[: len(tensor)] = tensor
        return room._replace(steps=given.steps)

    def _find_momenta(self) -> list[Tensor]:
        """Return the momenta, which are zeros before the first step; a restored optimiser has others."""
        state = self.optimiser.state
        for parameter in self._parameters:
            if state[parameter].get("momentum_buffer") is None:
                state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return [state[parameter]["momentum_buffer"] for parameter in self._parameters]


def make_program() -> Callable[[State, Minibatches, Factors], Tensor]:
    """Return the program as it is to be compiled, after loading what compiles loops."""
    while_loop = find_while_loop()

    @torch.no_grad()
    def take_steps(state: State, given: Minibatches, factors: Factors) -> Tensor:
        """Move weights and momenta in place, as `torch.optim.SGD` does; return the sum of the mean losses, nats ()."""
        count = len(state.weights)

        def is_left(step: Tensor, *_: Tensor) -> Tensor:
            return step < given.steps

        def take_step(step: Tensor, total: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
            place = step.view(1)
            inputs, labels, rates = (tensor.index_select(0, place)[0] for tensor in given[:3])
            before, momenta = tensors[:count], tensors[count:]
            loss, gradients = differentiate(before, inputs, labels)
            slopes = [gradient + factors.decay * tensor for gradient, tensor in zip(gradients, before, strict=True)]
            moved = [factors.momentum * old + slope for old, slope in zip(momenta, slopes, strict=True)]
            after = [tensor - rates[number] * moved[number] for number, tensor in enumerate(before)]
            return step + 1, total + loss, *after, *moved

        start = torch.zeros((), dtype=torch.int64), torch.zeros(()), *state.weights, *state.momenta
        _, total, *found = while_loop(is_left, take_step, start)
        for tensor, value in zip((*state.weights, *state.momenta), found, strict=True):
            tensor.copy_(value)
        return total

    return take_steps


def differentiate(weights: Sequence[Tensor], inputs: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the mean loss of a batch, nats (), and its gradients.

    Logits have their classes outermost, so that compiled kernels take many examples at a time.

    Args:
        weights: Of each layer its weights (O, F) and biases (O,).
        inputs: (B, F).
        labels: int64 (B,).
    """
    values = [inputs]
    for number in range(0, len(weights) - 2, 2):
        values.append(torch.relu(torch.addmm(weights[number + 1], values[-1], weights[number].t())))
    logits = torch.mm(weights[-2], values[-1].t()) + weights[-1][:, None]
    logits = logits - logits.amax(0)
    shares = logits.exp()
    total = shares.sum(0)
    wanted = labels == torch.arange(len(logits))[:, None]
    loss = (total.log() - torch.where(wanted, logits, 0.0).sum(0)).mean()
    slope = (shares / total - wanted.float()) / len(labels)

    gradients: list[Tensor] = []
    for number in reversed(range(len(values))):
        gradients[:0] = [torch.mm(slope, values[number]), slope.sum(1)]
        if number:
            slope = (torch.mm(slope.t(), weights[2 * number]) * (values[number] > 0)).t()
    return loss, gradients
