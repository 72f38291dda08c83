"""Averaged weights: SWA after each epoch, aggressive SWA after each step, over the last quarter of a training.

Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018 (SWA, begun at
three quarters of the epochs); Madhyastha & Jain, "On Model Stability as a Function of Random Seed", CoNLL 2019
(aggressive SWA: after every step). The paper's appendix A tries both.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

START = 0.75
"""Share of the epochs after which averaging begins."""

PREFIX = "average."

COUNT, OTHER_COUNT = "count", ".count"
"""The name of how many were averaged in a checkpoint, and where a parameter has that name: none begins with a dot."""


def first_averaged_epoch(epochs: int) -> int:
    """Return the first epoch whose weights are in the mean, which is the last one at the latest."""
    return min(epochs, int(START * epochs) + 1)


class WeightAverage:
    """Keeps the running mean of a model's parameters."""

    def __init__(self) -> None:
        """Start with a mean of no weights."""
        self.count = 0
        self.mean: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, model: nn.Module) -> None:
        """Take the parameters as they are now."""
        self.count += 1
        for name, parameter in model.named_parameters():
            if self.count == 1:
                self.mean[name] = parameter.detach().clone()
            else:
                self.mean[name].lerp_(parameter.detach(), 1.0 / self.count)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Give a model the mean, in place; buffers stay as they are."""
        for name, parameter in model.named_parameters():
            parameter.copy_(self.mean[name])

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint holds; inverse of `restore`."""
        if self.count == 0:
            return {}
        named = {OTHER_COUNT if COUNT in self.mean else COUNT: torch.tensor(self.count)} | self.mean
        return {f"{PREFIX}{name}": tensor for name, tensor in named.items()}

    def restore(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Restore the state of a checkpoint."""
        found = {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
        if found:
            self.count = int(found.pop(OTHER_COUNT if OTHER_COUNT in found else COUNT))
            self.mean = {name: tensor.to(device) for name, tensor in found.items()}
