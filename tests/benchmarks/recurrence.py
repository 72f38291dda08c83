"""The QRNN's fused recurrence, forward and backward, against the same recurrence step by step under autograd."""

from __future__ import annotations

from collections.abc import Callable

import torch
from measurement import Measurement, best_s
from torch import Tensor

from engine.training.models.recurrence import pool

TOKENS, STREAMS, UNITS = 70, 20, 512
BUDGET = 2.0


def pool_in_a_loop(candidates: Tensor, forget: Tensor, initial: Tensor) -> Tensor:
    states, state = [], initial
    for candidate, gate in zip(candidates.unbind(), forget.unbind(), strict=True):
        state = gate * state + (1 - gate) * candidate
        states.append(state)
    return torch.stack(states)


def measure() -> Measurement:
    torch.set_num_threads(1)
    shape = (TOKENS, STREAMS, UNITS)
    inputs = [torch.rand(s).requires_grad_() for s in (shape, shape, shape[1:])]
    gradient = torch.rand(shape)

    def run(recurrence: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        torch.autograd.grad(recurrence(*inputs), inputs, gradient)

    ours_s, plain_s = best_s(lambda: run(pool), 30), best_s(lambda: run(pool_in_a_loop), 30)
    text = (
        f"{TOKENS} tokens, {STREAMS} streams, {UNITS} units, forward and backward: {1000 * ours_s:.2f} ms, "
        f"step by step {1000 * plain_s:.2f} ms: {plain_s / ours_s:.1f}x"
    )
    return Measurement(text, f"{BUDGET:.0f}x", plain_s / ours_s >= BUDGET)
