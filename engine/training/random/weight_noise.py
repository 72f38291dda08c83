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
    """Let a model have noisy weights for one forward and backward pass.

    Args:
        model: Gets its own weights back, bit for bit.
        scale: SD of the noise, as a share of a tensor's RMS.
        seed: Of the source `stochastic`.
        epoch: With `step`, the place of the noise.
        step: Of the epoch.
    """
    generator = step_generator(seed, epoch, step)
    kept = [parameter.detach().clone() for parameter in model.parameters()]
    with torch.no_grad():
        for parameter in model.parameters():
            # Drawn on the CPU, so that the noise is equal on every device.
            noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
            parameter.add_(noise * (scale * parameter.square().mean().sqrt()))
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), kept, strict=True):
                parameter.copy_(value)
