"""A step of training that is traced by operation, against the same step as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from measurement import Measurement, best_s
from torch import nn
from torch.nn import functional

from engine.tracing.tracer import Tracer

BUDGET = 4.0
STEPS = 10
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, foreach=False),
    "Adam, foreach": lambda parameters: torch.optim.Adam(parameters, foreach=True),
    "Adam, fused": lambda parameters: torch.optim.Adam(parameters, fused=True),
}


def prepare(optimiser: str) -> Callable[[], None]:
    """A small network of convolutions, and some steps of its training."""
    layers: list[nn.Module] = []
    for channels, wider in ((3, 16), (16, 32)):
        layers += [nn.Conv2d(channels, wider, 3, padding=1), nn.BatchNorm2d(wider), nn.ReLU()]
    network = nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(32 * 64, 10))
    stepper = OPTIMISERS[optimiser](network.parameters())
    images, labels = torch.randn(64, 3, 16, 16), torch.arange(64) % 10

    def train() -> None:
        for _ in range(STEPS):
            order = torch.randperm(64)
            loss = functional.cross_entropy(network(images[order]), labels[order])
            stepper.zero_grad()
            loss.backward()
            stepper.step()

    return train


def measure() -> Measurement:
    torch.set_num_threads(1)
    parts: list[str] = []
    largest = 0.0
    for name in OPTIMISERS:
        train, traced = prepare(name), 0

        def trace(train: Any = train) -> None:
            nonlocal traced
            with Tracer() as tracer:
                train()
            traced = len(tracer.records)

        train()
        plain_s, traced_s = best_s(train, 5), best_s(trace, 5)
        largest = max(largest, traced_s / plain_s)
        parts.append(f"{name}: {traced_s / plain_s:.1f} × ({traced // STEPS} operations a step)")
    return Measurement("traced step " + ", ".join(parts), f"≤ {BUDGET:.0f} × the step", largest <= BUDGET)
