"""The weights with the least validation loss so far, and that loss."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

PREFIX = "best."


class BestWeights:
    """Keeps a copy of the parameters that were offered with the least loss."""

    def __init__(self) -> None:
        """Start with none."""
        self.loss = math.inf
        self.weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def offer(self, loss: float, parameters: Mapping[str, Tensor]) -> None:
        """Copy the parameters where their loss is less than every one before; one that is no number never is."""
        if loss < self.loss:
            self.loss = loss
            self.weights = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def copy_to(self, parameters: Mapping[str, Tensor]) -> None:
        """Write the copy into some parameters, in place."""
        for name, value in self.weights.items():
            parameters[name].copy_(value)

    def state(self) -> dict[str, Tensor]:
        """Return what a checkpoint holds; inverse of `restore`."""
        if not self.weights:
            return {}
        loss = torch.tensor(self.loss, dtype=torch.float64)
        return {f"{PREFIX}loss": loss} | {f"{PREFIX}{name}": value for name, value in self.weights.items()}

    def restore(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Restore the state of a checkpoint."""
        found = {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
        if found:
            self.loss = float(found.pop("loss"))
            self.weights = {name: tensor.to(device) for name, tensor in found.items()}
