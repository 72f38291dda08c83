"""The published optimiser: parameter groups by name, and a learning rate that is a function of the step.

Source: train.py of github.com/ceciliaresearch/nondeterminism_instability.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from engine.recipe import TrainRecipe
from engine.training.compiler import find_step, spare_optimisers

spare_optimisers()


_STEPS = {kind: find_step(kind) for kind in (torch.optim.SGD, torch.optim.Adam)}


class SGD(torch.optim.SGD):
    """torch's SGD, whose step does not load the compiler, and on CPUs does no more than call torch's kernels."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move the parameters as torch's own step does, which looks up a lot before it calls the same kernels."""
        moved = [self._list_moved(group) for group in self.param_groups] if closure is None else [None]
        if any(tensors is None for tensors in moved):
            return _STEPS[torch.optim.SGD](self, closure)
        for group, tensors in zip(self.param_groups, moved, strict=True):
            assert tensors is not None, "all groups are known"
            _move(group, *tensors)
        return None

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients."""
        if not set_to_none:
            super().zero_grad(set_to_none)
            return
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def _list_moved(self, group: dict[str, Any]) -> _Moved | None:
        """Return a group's parameters, gradients and momenta; None where torch's own step has to sort them out.

        That is so in the first step, on GPUs, and for parameters of several types or without gradients.
        """
        parameters: list[Tensor] = group["params"]
        gradients = [parameter.grad for parameter in parameters]
        kind = parameters[0].dtype
        if not all(p.is_cpu and p.dtype == kind and g is not None for p, g in zip(parameters, gradients, strict=True)):
            return None
        if group["momentum"] == 0:
            return parameters, gradients, []
        momenta = [self.state[parameter].get("momentum_buffer") for parameter in parameters]
        return None if any(momentum is None for momentum in momenta) else (parameters, gradients, momenta)


_aten = torch.ops.aten

_Moved = tuple[list[Tensor], list[Any], list[Any]]


def _move(group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], momenta: list[Tensor]) -> None:
    """Take a group's step on the CPU, with the operations of `torch.optim.SGD` in their order."""
    rate, decay, momentum = group["lr"], group["weight_decay"], group["momentum"]
    if group["fused"]:
        _aten._fused_sgd_.default(
            parameters, gradients, momenta, weight_decay=decay, momentum=momentum, lr=rate, dampening=0.0,
            nesterov=False, maximize=False, is_first_step=False, grad_scale=None, found_inf=None,
        )  # fmt: skip
        return
    # On CPUs each of these is a loop over the tensors that calls the kernel of the plain operation.
    if decay != 0:
        gradients = list(_aten._foreach_add.List(gradients, parameters, alpha=decay))
    if momentum != 0:
        _aten._foreach_mul_.Scalar(momenta, momentum)
        _aten._foreach_add_.List(momenta, gradients)
        gradients = momenta
    _aten._foreach_add_.List(parameters, gradients, alpha=-rate)


class Adam(torch.optim.Adam):
    """torch's Adam, whose step does not load the compiler."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move the parameters by torch's own step."""
        return _STEPS[torch.optim.Adam](self, closure)


def is_slow(name: str) -> bool:
    """Tell whether a parameter trains at the scaled rate: biases do, and weights with "bn" in their name.

    By name as in the published code, so the batch norms inside `downsample` train at the full rate.
    """
    return "bias" in name or ("bn" in name and "weight" in name)


def make_groups(parameters: Iterable[tuple[str, nn.Parameter]], scale: float) -> list[dict[str, Any]]:
    """Return up to two parameter groups, each with the factor on its learning rate as "scale"."""
    named = [(name, parameter) for name, parameter in parameters if parameter.requires_grad]
    slow = [parameter for name, parameter in named if is_slow(name)]
    fast = [parameter for name, parameter in named if not is_slow(name)]
    groups = [{"params": slow, "scale": scale}, {"params": fast, "scale": 1.0}]
    return [group for group in groups if group["params"]]


def make_optimiser(
    parameters: Iterable[tuple[str, nn.Parameter]], train: TrainRecipe, *, fused: bool = True
) -> torch.optim.Optimizer:
    """Make SGD with momentum (not Nesterov) or Adam; weight decay acts on every parameter.

    The implementation is pinned: fused and plain ones round differently. The fused one treats the last few numbers of
    a tensor otherwise than the rest, so stacked replicas are not equal under it; under the plain one they are.
    """
    groups = make_groups(parameters, train.bias_bn_lr_scale)
    pinned: dict[str, Any] = {"fused": True} if fused else {"foreach": False}
    if train.optimizer == "adam":
        return Adam(groups, lr=train.lr, weight_decay=train.weight_decay, **pinned)
    return SGD(groups, lr=train.lr, momentum=train.momentum, weight_decay=train.weight_decay, **pinned)


def learning_rate(step: int, steps_per_epoch: int, train: TrainRecipe) -> float:
    """Return the learning rate of a step, before a group's scale.

    With e = step / steps_per_epoch: max·e/warmup while e ≤ warmup (so the first step has rate 0), then
    max·(1+cos(π·e/epochs))/2; the cosine does not begin behind the warm-up but at 0, so there is a small jump.
    The snapshot schedule repeats this in every cycle, warm-up included, with a cycle's epochs for `epochs`.

    Args:
        step: Number of the step in the whole training, from 0.
        steps_per_epoch: Minibatches per epoch.
        train: Schedule, highest rate, warm-up and epochs.
    """
    epoch, epochs = step / steps_per_epoch, train.epochs
    if train.schedule == "snapshot" and train.cycles:
        epochs = train.epochs // train.cycles
        epoch = step % (epochs * steps_per_epoch) / steps_per_epoch
    if train.warmup_epochs and epoch <= train.warmup_epochs:
        return train.lr * epoch / train.warmup_epochs
    if train.schedule == "constant":
        return train.lr
    return 0.5 * train.lr * (1 + math.cos(math.pi * min(epoch / epochs, 1.0)))


def place_rates(optimiser: torch.optim.Optimizer, device: torch.device) -> None:
    """Keep the learning rates of an optimiser, float32, on the device, where a recorded step finds them anew."""
    for group in optimiser.param_groups:
        group["lr"] = torch.tensor(group["lr"], device=device)
        if "capturable" in group:
            group["capturable"] = True


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its scaled rate, where it is a tensor in the place of the former one."""
    for group in optimiser.param_groups:
        scaled = rate * group["scale"]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(scaled)
        else:
            group["lr"] = scaled
