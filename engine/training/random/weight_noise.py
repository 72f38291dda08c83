"""Weight augmentation: the gradient of a step is taken at weights with noise, and applied to the weights without.

Source: the paper's appendix A tries it against instability; it states no form. Here the noise is Gaussian and
relative to each tensor's root mean square, so that one number fits all layers; tensors of zeros get none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import torch
from torch import nn

from engine.training.random.seeding import step_generator


@contextlib.contextmanager
def noisy_weights(model: nn.Module, scale: float, *, seed: int, epoch: int, step: int) -> Generator[None]:
    """Add noise to a model's weights for one forward and backward pass.

    Args:
        model: A model, whose own weights are restored bit for bit afterwards.
        scale: SD of the noise, as a share of a tensor's RMS.
        seed: The seed of the source `stochastic`.
        epoch: The epoch; together with `step` it determines the noise.
        step: The number of the step in the epoch.
    """
    generator = step_generator(seed, epoch, step)
    kept = [parameter.detach().clone() for parameter in model.parameters()]
    with torch.no_grad():
        for parameter in model.parameters():
            # The noise is drawn on the CPU, so that it is equal on every device.
            noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
            parameter.add_(noise * (scale * parameter.square().mean().sqrt()))
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), kept, strict=True):
                parameter.copy_(value)
