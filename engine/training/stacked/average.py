"""Averaged weights of stacked replicas, each of which may have begun at another time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from engine.training.averaging import WeightAverage


class StackedAverage:
    """Keeps the running mean of each replica's parameters; see `averaging.WeightAverage`."""

    def __init__(self, replicas: int, device: torch.device) -> None:
        """Start with a mean of no weights for every replica."""
        self.counts = torch.zeros(replicas, dtype=torch.int64, device=device)
        self.means: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, stacked: Mapping[str, Tensor], chosen: Tensor) -> None:
        """Take the parameters as they are now.

        Args:
            stacked: Replicas first.
            chosen: Of which replicas, bool (K,).
        """
        self.counts += chosen
        share = torch.where(chosen, 1.0 / self.counts.clamp(min=1), 0.0).float()
        for name, value in stacked.items():
            mean = self.means.setdefault(name, torch.zeros_like(value.detach()))
            mean.lerp_(value.detach(), share.view(-1, *[1] * (value.dim() - 1)))

    def apply(self, stacked: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the means of replicas that have one, and the parameters of the others."""
        if not self.means:
            return {name: value.detach() for name, value in stacked.items()}
        begun = self.counts > 0
        return {
            name: torch.where(begun.view(-1, *[1] * (value.dim() - 1)), self.means[name], value.detach())
            for name, value in stacked.items()
        }

    def state(self, slot: int) -> dict[str, Tensor]:
        """Return what a checkpoint holds of a replica, as if it were alone."""
        single = WeightAverage()
        single.count = int(self.counts[slot])
        single.mean = {name: mean[slot] for name, mean in self.means.items()}
        return single.state()

    def restore(self, states: Sequence[dict[str, Tensor]], stacked: Mapping[str, Tensor]) -> None:
        """Restore the state from the checkpoints of all replicas."""
        singles = [WeightAverage() for _ in states]
        for single, state in zip(singles, states, strict=True):
            single.restore(state, self.counts.device)
        self.counts = torch.tensor([single.count for single in singles], device=self.counts.device)
        if any(single.count for single in singles):
            self.means = {
                name: torch.stack([single.mean.get(name, torch.zeros_like(value[0])) for single in singles])
                for name, value in stacked.items()
            }
