"""Layers that are faster on stacked parameters than what `torch.func.vmap` makes of them by itself.

Convolutions become grouped and batch norms wide under vmap. A linear layer on a batch that all replicas share would
become one narrow product per replica; here it is one wide product for all of them.

A replica must get the same bits in every slot. Matrix products do that; sums over a strided axis do not, as their
vector code treats the last columns otherwise. So a bias's gradient is a product with ones, or a sum over
contiguous rows.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.training.stacked.products import multiply_each


class _WideLinear(torch.autograd.Function):
    """Maps one batch (B, F), weights (K, O, F) and biases (K, O) to (B, K, O)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        replicas, outputs = bias.shape
        wide = torch.addmm(bias.reshape(-1), x, weight.reshape(replicas * outputs, -1).t())
        return wide.view(len(x), replicas, outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        replicas, outputs, inputs = weight.shape
        grad = grads[0].reshape(len(x), replicas * outputs)
        by_bias = grad.new_ones(1, len(x)) @ grad
        by_input = grad @ weight.reshape(-1, inputs) if ctx.needs_input_grad[0] else None
        return by_input, (grad.t() @ x).view(weight.shape), by_bias.view(replicas, outputs)


class _BatchedLinear(torch.autograd.Function):
    """Maps batches (K, B, F), weights (K, O, F) and biases (K, O) to (K, B, O)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return multiply_each(x, weight.mT) + bias[:, None]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous()
        by_input = multiply_each(grad, weight) if ctx.needs_input_grad[0] else None
        return by_input, multiply_each(grad.mT, x), grad.sum(1)


class _StackedLinear(torch.autograd.Function):
    """Computes x W' + b, with a vmap rule for stacked replicas."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.linear(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return grads[0] @ weight, grads[0].t() @ x, grads[0].sum(0)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Tensor) -> tuple[Tensor, int]:
        """Compute all replicas, which come first in weight and bias; x is (B, F) where they share it."""
        x, weight, bias = args
        if in_dims[0] is None:
            return _WideLinear.apply(x, weight, bias), 1
        return _BatchedLinear.apply(x.movedim(in_dims[0], 0), weight, bias), 0


def multiply(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute X W' + b for X (…, F), with a vmap rule for stacked parameters.

    Under autocast all three are rounded first, as `functional.linear` rounds them: what the rule keeps for its own
    backward pass is then of the gradient's type.
    """
    device = x.device.type
    if torch.is_autocast_enabled(device):
        x, weight, bias = (tensor.to(torch.get_autocast_dtype(device)) for tensor in (x, weight, bias))
    rows: Tensor = _StackedLinear.apply(x.flatten(0, -2), weight, bias)  # pyright: ignore[reportAssignmentType]
    return rows.unflatten(0, x.shape[:-1])


class StackableLinear(nn.Linear):
    """A linear layer that has a vmap rule for stacked parameters."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of the base class
        """Map (…, F) to (…, F')."""
        return multiply(input, self.weight, self.bias) if input.dim() > 1 else super().forward(input)


def make_stackable(model: nn.Module) -> None:
    """Give a model's linear layers the vmap rule, in place; layers without bias and of other types are not changed."""
    for module in model.modules():
        if type(module) is nn.Linear and cast("Tensor | None", module.bias) is not None:
            # Only the class is changed, so that other references to the module and its parameters stay valid.
            module.__class__ = StackableLinear
