"""Weight augmentation: the gradient of a step is taken at weights with noise, and applied to the weights without.

Source: the paper's appendix A tries it against instability; it states no form. Here the noise is Gaussian and
relative to each tensor's root mean square, so that one number fits all layers; tensors of zeros get none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import torch
from torch import Tensor, nn

from engine.recipe import Recipe
from engine.training.random.seeding import step_generator


def draw_noise(model: nn.Module, recipe: Recipe, *, epoch: int, step: int) -> list[Tensor] | None:
    """Draw the noise of a step for each of a model's parameters, on the CPU, so that it is equal on every device.

    Args:
        model: The model.
        recipe: Gives the seed of the source `stochastic`.
        epoch: The epoch; together with `step` it determines the noise.
        step: The number of the step in the epoch.

    Returns:
        None where the recipe has no noise.
    """
    seed = recipe.seeds.stochastic
    if recipe.train.weight_noise is None or seed is None:
        return None
    generator = step_generator(seed, epoch, step)
    return [torch.randn(parameter.shape, generator=generator) for parameter in model.parameters()]


def send_noise(noise: list[Tensor], device: torch.device) -> Tensor:
    """Copy noise to a GPU in one piece, from memory from which that fetches it by itself, so that nobody waits."""
    flat = torch.cat([one.reshape(-1) for one in noise])
    return flat.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else flat


def cut_noise(flat: Tensor, model: nn.Module) -> list[Tensor]:
    """Return the noise of each of a model's parameters; inverse of `send_noise`."""
    parameters = list(model.parameters())
    parts = flat.split([parameter.numel() for parameter in parameters])
    return [part.view(parameter.shape) for part, parameter in zip(parts, parameters, strict=True)]


@contextlib.contextmanager
def noisy_weights(model: nn.Module, scale: float, noise: list[Tensor]) -> Generator[None]:
    """Add noise to a model's weights for one forward and backward pass.

    Args:
        model: A model, whose own weights are restored bit for bit afterwards.
        scale: SD of the noise, as a share of a tensor's RMS.
        noise: Standard normal numbers for each parameter; see `draw_noise`.
    """
    kept = [parameter.detach().clone() for parameter in model.parameters()]
    with torch.no_grad():
        for parameter, drawn in zip(model.parameters(), noise, strict=True):
            parameter.add_(drawn * (scale * parameter.square().mean().sqrt()))
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(model.parameters(), kept, strict=True):
                parameter.copy_(value)
