"""The recurrence of quasi-recurrent networks, one fused step per token.

Forward, c_t = f_t·c_{t−1} + (1−f_t)·z_t is one `lerp` per token, written in place; backward,
g_t = ∂L/∂c_t + f_{t+1}·g_{t+1} is one `addcmul`. Everything else (gates, gradients of f and z) is one operation over
all tokens. Autograd over a plain loop records four operations per token and allocates for each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class ForgetPooling(torch.autograd.Function):
    """f-pooling of Bradbury et al., "Quasi-Recurrent Neural Networks", ICLR 2017, equation 3."""

    @staticmethod
    def forward(candidates: Tensor, forget: Tensor, initial: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return all states, (T, B, H), of candidates z (T, B, H), forget gates f (T, B, H) and c_0 (B, H)."""
        states = torch.empty_like(candidates)
        before = initial
        for state, candidate, gate in zip(states.unbind(), candidates.unbind(), forget.unbind(), strict=True):
            before = torch.lerp(candidate, before, gate, out=state)
        return states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep what the backward pass needs."""
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Tensor) -> tuple[Tensor, int]:
        """Compute all replicas as further streams of the batch, because no number depends on another stream."""
        replicas = info.batch_size
        parts = [
            x[..., None, :, :].expand(*x.shape[:-2], replicas, *x.shape[-2:]) if where is None else x.movedim(where, -3)
            for x, where in zip(args, in_dims, strict=True)
        ]
        states: Tensor = ForgetPooling.apply(*(x.flatten(-3, -2) for x in parts))  # pyright: ignore[reportAssignmentType]
        return states.unflatten(-2, (replicas, -1)), states.dim() - 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the gradients of z, f and c_0."""
        candidates, forget, initial, states = ctx.saved_tensors
        total = torch.empty_like(gradient)
        total[-1] = gradient[-1]
        parts, gates, own = total.unbind(), forget.unbind(), gradient.unbind()
        for t in range(len(own) - 2, -1, -1):
            torch.addcmul(own[t], gates[t + 1], parts[t + 1], out=parts[t])
        before = torch.cat([initial[None], states[:-1]])
        return total * (1 - forget), total * (before - candidates), forget[0] * total[0]


def pool(candidates: Tensor, forget: Tensor, initial: Tensor) -> Tensor:
    """Return the states of every token, in the type of c_0; see `ForgetPooling`.

    Under autocast the gates come in bfloat16 and the state is float32: a state that is rounded to eight bits at every
    token forgets what the gates tell it to keep.
    """
    dtype = initial.dtype
    states: Tensor = ForgetPooling.apply(candidates.to(dtype), forget.to(dtype), initial)  # pyright: ignore[reportAssignmentType]
    return states
