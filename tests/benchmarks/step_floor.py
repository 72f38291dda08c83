"""What an epoch of a linear network alone takes at least: its kernels called one after the other, and nothing else.

A run alone keeps its bits, and with them its kernels: products, log-softmax, losses, sums, two groups of the optimiser,
and after the epoch float64 log-softmax from row to row. Here each is called with everything at hand, batches, views and
memory, beside the task that trains and judges the same network. What lies between them is what a leaner program could
gain; the rest is torch's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jax_peer import BATCH_SIZE, Case
from measurement import Measurement, best_s
from torch.nn import functional

from engine.training.allocator import keep_freed_memory
from engine.training.cross_entropy import is_equal_by_column
from engine.training.data.batches import epoch_batches
from engine.training.data.datasets import Dataset, load_data
from engine.training.evaluation import EVALUATION_BATCH
from engine.training.random.seeding import set_kernels, use_one_thread
from engine.training.tasks.images import prepare

REPEATS = 300
PADDED = 112
"""Examples of a batch, in whole registers."""
SETTINGS: dict[str, Any] = {"weight_decay": 5e-4, "momentum": 0.9, "dampening": 0.0, "nesterov": False}


class Bare:
    """The kernels of a linear network's step and cross-entropy, with everything at hand."""

    def __init__(self, data: Dataset) -> None:
        self.kernels: Any = torch
        features, self.data = data.train_inputs[0].numel(), data
        self.inputs, self.labels = data.train_inputs[:BATCH_SIZE].flatten(1), data.train_labels[:BATCH_SIZE]
        self.weight, self.bias = torch.randn(data.classes, features) / 10, torch.zeros(data.classes)
        self.by_weight, self.by_bias = torch.zeros_like(self.weight), torch.zeros_like(self.bias)
        self.momenta = torch.zeros_like(self.weight), torch.zeros_like(self.bias)
        self.logits, self.slope = (torch.empty(BATCH_SIZE, data.classes) for _ in range(2))
        self.columns, self.logs, self.wanted, self.back = (torch.zeros(data.classes, PADDED) for _ in range(4))
        self.index, self.firsts = self.labels[None], torch.zeros(BATCH_SIZE, dtype=torch.int64)

    def step(self) -> None:
        kernels = self.kernels
        torch.addmm(self.bias, self.inputs, self.weight.t(), out=self.logits)
        self.columns[:, :BATCH_SIZE].copy_(self.logits.t())
        kernels._log_softmax(self.columns, 0, False, out=self.logs)
        self.wanted.zero_().scatter_(0, self.index, -1 / BATCH_SIZE)
        kernels._log_softmax_backward_data(self.wanted, self.logs, 0, torch.float32, out=self.back)
        kernels._C._nn.nll_loss_nd(self.logs.gather(0, self.index).t(), self.firsts, None, 1, -100)
        self.slope.copy_(self.back[:, :BATCH_SIZE].t())
        torch.sum(self.slope, 0, out=self.by_bias)
        torch.mm(self.slope.t(), self.inputs, out=self.by_weight)
        for number, (tensor, by) in enumerate(((self.weight, self.by_weight), (self.bias, self.by_bias))):
            kernels._fused_sgd_(
                [tensor], [by], [self.momenta[number]], lr=0.01, maximize=False, is_first_step=False, **SETTINGS
            )

    def evaluate(self) -> None:
        parts = self.data.test_inputs.flatten(1).split(EVALUATION_BATCH)
        logits = torch.cat([torch.addmm(self.bias, part, self.weight.t()) for part in parts])
        functional.cross_entropy(logits.double(), self.data.test_labels)


@torch.no_grad()
def measure() -> Measurement:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    set_kernels("order", "fp32")
    use_one_thread()
    keep_freed_memory()
    recipes = Case("linear", 1, True).recipes()
    data = load_data(recipes[0].data, root=Path("/nonexistent"), search_path=())
    bare, task = Bare(data), prepare(recipes[0], data, device=torch.device("cpu"))
    assert is_equal_by_column(data.classes), "these kernels are those of a processor whose registers hold 16 numbers"
    batches, shortest = list(epoch_batches(recipes[0], data, 1)), np.full(task.count_steps(), np.inf)
    task.train_epoch(1)
    for _ in range(REPEATS // 10):
        for step, batch in enumerate(batches):
            shortest[step] = min(shortest[step], best_s(lambda b=batch, s=step: task.train_step(b, 1, s), 1))
    drawn_s = best_s(lambda: list(epoch_batches(recipes[0], data, 1)), REPEATS)
    judged_s, judged_bare_s = best_s(lambda: task.evaluate(1), REPEATS), best_s(bare.evaluate, REPEATS)
    own_s, bare_s, steps = float(np.median(shortest)), best_s(bare.step, 10 * REPEATS), task.count_steps()
    epoch_ms, floor_ms = 1e3 * (steps * own_s + drawn_s + judged_s), 1e3 * (steps * bare_s + judged_bare_s)
    text = (
        f"linear alone: a step {1e6 * own_s:.0f} µs, its kernels alone {1e6 * bare_s:.0f}; batches of an epoch "
        f"{1e3 * drawn_s:.2f} ms; evaluation {1e3 * judged_s:.2f} ms, its kernels alone {1e3 * judged_bare_s:.2f}; an "
        f"epoch of {steps} steps {epoch_ms:.1f} ms, the kernels alone {floor_ms:.1f}"
    )
    return Measurement(text, "none: the floor of `jax_peer`'s linear alone", None)


if __name__ == "__main__":
    print(measure().text)
