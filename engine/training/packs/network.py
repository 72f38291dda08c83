"""A pack of networks: stacked parameters and buffers, one forward pass, one optimiser."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from engine.recipe import TrainRecipe
from engine.training.optimiser import make_optimiser
from engine.training.snapshot import Checkpoint, restore

from .layers import make_stackable


class Pack(nn.Module):
    """K networks of one architecture."""

    def __init__(self, models: Sequence[nn.Module], train: TrainRecipe, *, shared_batch: bool) -> None:
        """Stack the models' parameters and buffers, on the models' device.

        Args:
            models: Equal but for their numbers.
            train: Makes the optimiser.
            shared_batch: Whether all replicas see the same batches.
        """
        super().__init__()
        self.size, self.shared_batch = len(models), shared_batch
        self.template = copy.deepcopy(models[0])
        make_stackable(self.template)
        parameters, self.stacked_buffers = stack_module_state(list(models))
        self.stacked = {name: nn.Parameter(value.detach()) for name, value in parameters.items()}
        self.optimiser = make_optimiser(self.stacked.items(), train, fused=False)

    def train(self, mode: bool = True) -> Pack:
        """As of the networks."""
        super().train(mode)
        self.template.train(mode)
        return self

    def forward(self, inputs: Tensor, *, shared: bool | None = None) -> Tensor:
        """Logits of every replica.

        Args:
            inputs: (B, …) where the batch is shared, else (K, B, …).
            shared: Where it is not as in training: the test set is always shared.

        Returns:
            (K, B, C); not contiguous.
        """
        where = None if (self.shared_batch if shared is None else shared) else 0
        call = vmap(self._call, in_dims=(0, 0, where), randomness="error")
        return call(self.stacked, self.stacked_buffers, inputs)

    def _call(self, parameters: Mapping[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(self.template, (dict(parameters), buffers), (x,))

    def clip_gradients(self, limit: float) -> None:
        """Scale each replica's gradient to at most a norm, as `clip_grad_norm_` does for one network."""
        gradients = [p.grad for p in self.stacked.values() if p.grad is not None]
        squares = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients], dim=1)
        factors = (limit / (torch.linalg.vector_norm(squares, dim=1) + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))

    def state_of(self, slot: int) -> dict[str, Tensor]:
        """One replica's weights and buffers, as a copy, under their own names."""
        stacked = {name: value.detach() for name, value in self.stacked.items()} | self.stacked_buffers
        return {name: stacked[name][slot].clone() for name in self.template.state_dict()}

    def member(self, slot: int, model: nn.Module, train: TrainRecipe) -> tuple[nn.Module, torch.optim.Optimizer]:
        """One replica as a network and an optimiser of its own, as they would be without a pack.

        Args:
            slot: Which.
            model: A network of the same architecture, whose numbers are replaced.
            train: As of the pack.
        """
        model.load_state_dict(self.state_of(slot))
        optimiser = make_optimiser(model.named_parameters(), train)
        whole = self.optimiser.state_dict()
        state = {
            number: {name: value[slot] if value.dim() else value for name, value in values.items()}
            for number, values in whole["state"].items()
        }
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        return model, optimiser

    def restore(self, checkpoints: Sequence[Checkpoint], models: Sequence[nn.Module], train: TrainRecipe) -> None:
        """Put every replica into the state that it had without, or in another, pack."""
        states = []
        for checkpoint, model in zip(checkpoints, models, strict=True):
            optimiser = make_optimiser(model.named_parameters(), train)
            restore(checkpoint, model, optimiser)
            states.append(optimiser.state_dict()["state"])
        parameters, buffers = stack_module_state(list(models))
        with torch.no_grad():
            for name, value in parameters.items():
                self.stacked[name].copy_(value)
            for name, value in buffers.items():
                self.stacked_buffers[name].copy_(value)
        state = {
            number: {
                name: torch.stack([other[number][name] for other in states]) if value.dim() else value
                for name, value in values.items()
            }
            for number, values in states[0].items()
        }
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})
