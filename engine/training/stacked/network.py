"""A pack of networks: stacked parameters and buffers, one forward pass, one optimiser."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from engine.recipe import PackRecipe, TrainRecipe
from engine.training.checkpoint import Checkpoint, restore
from engine.training.compiler import compile_function
from engine.training.optimiser import make_optimiser, place_rates, set_learning_rate
from engine.training.stacked.layers import make_stackable

T = TypeVar("T")


class _Caller(nn.Module):
    """Wraps a network so that `functional_call` can run any function of it with other parameters."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, use: Callable[..., Any], *args: Any) -> Any:
        return use(self.network, *args)


class Pack(nn.Module):
    """K networks of one architecture."""

    def __init__(
        self, models: Sequence[nn.Module], train: TrainRecipe, recipe: PackRecipe, *, handles: Sequence[object] = ()
    ) -> None:
        """Stack the models' parameters and buffers, on the models' device.

        Args:
            models: Networks of one architecture.
            train: The settings of the optimiser.
            recipe: How the stacked parameters are laid out and used; the models may be fewer than its size.
            handles: What the first model refers to and the pack's copy of it shall refer to as well.
        """
        super().__init__()
        self.size, self.recipe = len(models), recipe
        self.template = copy.deepcopy(models[0], memo={id(handle): handle for handle in handles})
        if not recipe.compiled:
            make_stackable(self.template)
        self._caller = _Caller(self.template)
        parameters, self.stacked_buffers = stack_module_state(list(models))
        self.stacked = {
            name: nn.Parameter(self._lay_out(p.detach()), requires_grad=p.requires_grad)
            for name, p in parameters.items()
        }
        self._names = _find_names(self.template)
        self._compiled: dict[Any, Callable[..., Any]] = {}
        device = next(iter(self.stacked.values())).device
        # On CUDA the fused optimiser treats every number alike.
        self.optimiser = make_optimiser(self.stacked.items(), train, fused=device.type == "cuda")
        if device.type == "cuda":
            place_rates(self.optimiser, device)

    def train(self, mode: bool = True) -> Pack:
        """Set the mode of the stacked networks."""
        super().train(mode)
        self.template.train(mode)
        return self

    def _lay_out(self, stacked: Tensor) -> Tensor:
        """Lay out kernels of convolutions with their channels innermost, where the recipe says so."""
        if not self.recipe.channels_last or stacked.dim() != 5:
            return stacked
        return stacked.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, stacked.shape[:2])

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of the next step; each parameter group multiplies it by its own scale."""
        set_learning_rate(self.optimiser, rate)

    def use(
        self,
        use: Callable[..., Any],
        *args: Any,
        in_dims: tuple[Any, ...],
        parameters: Mapping[str, Tensor] | None = None,
    ) -> Any:
        """Call a function with every replica's network at once.

        Args:
            use: Called with a network and the arguments as one replica sees them.
            args: Tensors, or lists of them.
            in_dims: 0 for each argument that replicas have their own of along the first dimension, None for each that
                they share.
            parameters: Stacked parameters to use instead of the pack's.

        Returns:
            What `use` returns, replicas first; not contiguous.
        """
        mapped = self._map(use, in_dims)
        return mapped(self.stacked if parameters is None else dict(parameters), self.stacked_buffers, *args)

    def _map(self, use: Callable[..., Any], in_dims: tuple[Any, ...]) -> Callable[..., Any]:
        def call(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], *args: Any) -> Any:
            tensors = {f"network.{name}": tensor for name, tensor in (*parameters.items(), *buffers.items())}
            return functional_call(self._caller, tensors, (use, *args))

        mapped = vmap(call, in_dims=(0, 0, *in_dims), randomness="error")
        if not self.recipe.compiled:
            return mapped
        key = (use, repr(in_dims))
        if key not in self._compiled:
            self._compiled[key] = compile_function(mapped)
        return self._compiled[key]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (K, B, C) of every replica for a batch (B, …) that all of them see; not contiguous."""
        return self.use(_classify, inputs, in_dims=(None,))

    def clip_gradients(self, limit: float) -> None:
        """Scale each replica's gradient to at most a norm, as `clip_grad_norm_` does for one network."""
        gradients = [p.grad for p in self.stacked.values() if p.grad is not None]
        squares = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients], dim=1)
        factors = (limit / (torch.linalg.vector_norm(squares, dim=1) + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))

    def state_of(self, slot: int) -> dict[str, Tensor]:
        """Return a copy of one replica's weights and buffers, under their own names."""
        stacked = {name: value.detach() for name, value in self.stacked.items()} | self.stacked_buffers
        return {name: stacked[first][slot].clone() for name, first in self._names.items()}

    def member(self, slot: int, model: nn.Module, train: TrainRecipe) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Return one replica as a network and an optimiser of its own, as they would be without a pack.

        Args:
            slot: Which.
            model: A network of the same architecture, whose numbers are replaced.
            train: As of the pack.
        """
        model.load_state_dict(self.state_of(slot))
        optimiser = make_optimiser(model.named_parameters(), train)  # as it would be alone
        whole = self.optimiser.state_dict()
        state = {
            number: {name: value[slot] if value.dim() else value for name, value in values.items()}
            for number, values in whole["state"].items()
        }
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        return model, optimiser

    def restore(self, checkpoints: Sequence[Checkpoint], models: Sequence[nn.Module], train: TrainRecipe) -> None:
        """Restore the state of every replica from a checkpoint, whether it was trained alone or in another pack."""
        states: list[dict[int, dict[str, Tensor]]] = []
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
        numbered = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        state = {
            number: {
                name: _stack_like(numbered[number], [other[number][name] for other in states]) if value.dim() else value
                for name, value in values.items()
            }
            for number, values in states[0].items()
        }
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})


def fill_up(items: Sequence[T], size: int) -> list[T]:
    """Return as many items as a pack has replicas: the last item is repeated in the places that are left."""
    return [*items, *[items[-1]] * (size - len(items))]


def _classify(network: nn.Module, inputs: Tensor) -> Tensor:
    return network(inputs)


def _stack_like(parameter: Tensor, values: Sequence[Tensor]) -> Tensor:
    """Stack replicas' tensors in the layout of a stacked parameter: CUDA's fused optimisers refuse any other."""
    return torch.empty_like(parameter, requires_grad=False).copy_(torch.stack(list(values)))


def _find_names(model: nn.Module) -> dict[str, str]:
    """Return every name in a model's state → the first name of the same tensor; tied weights have several names."""
    first = {id(tensor): name for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    return {name: first[id(tensor)] for name, tensor in model.state_dict(keep_vars=True).items()}
