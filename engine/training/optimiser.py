"""The published optimiser: parameter groups by name, and a learning rate that is a function of the step.

Source: train.py of github.com/ceciliaresearch/nondeterminism_instability.
"""

from __future__ import annotations

import math
import sys
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

    _on_cpu: bool | None = None
    """Whether all parameters are on the CPU and each group's of one type; None before the first step."""

    def step(self, closure: Any = None) -> Any:
        """Move the parameters as torch's own step does, which looks up a lot before it calls the same kernels."""
        hooks = (self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks, *_HOOKS)
        return _take_watched(self, closure) if any(hooks) else self.take(closure)

    @torch.no_grad()
    def take(self, closure: Any = None) -> Any:
        """Take a step that nobody watches."""
        if self._on_cpu is None:
            pairs = [(parameter, group["params"][0]) for group in self.param_groups for parameter in group["params"]]
            self._on_cpu = all(parameter.is_cpu and parameter.dtype == first.dtype for parameter, first in pairs)
        moved = [self._list_moved(group) for group in self.param_groups] if self._on_cpu and closure is None else [None]
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

        That is so in the first step, and for parameters without gradients.
        """
        parameters: list[Tensor] = group["params"]
        gradients = [parameter.grad for parameter in parameters]
        momenta = [self.state[parameter].get("momentum_buffer") for parameter in parameters if group["momentum"] != 0]
        lacking = any(gradient is None for gradient in gradients) or any(momentum is None for momentum in momenta)
        return None if lacking else (parameters, gradients, momenta)


_kernels: Any = torch
"""By torch's own names a kernel is called in 2 µs, through `torch.ops` in 7."""

_Moved = tuple[list[Tensor], list[Any], list[Any]]


def _move(group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], momenta: list[Tensor]) -> None:
    """Take a group's step on the CPU, with the operations of `torch.optim.SGD` in their order."""
    rate, decay, momentum = group["lr"], group["weight_decay"], group["momentum"]
    if group["fused"]:
        _kernels._fused_sgd_(
            parameters, gradients, momenta, weight_decay=decay, momentum=momentum, lr=rate, dampening=0.0,
            nesterov=False, maximize=False, is_first_step=False,
        )  # fmt: skip
        return
    # On CPUs each of these is a loop over the tensors that calls the kernel of the plain operation.
    if decay != 0:
        gradients = list(_kernels._foreach_add(gradients, parameters, alpha=decay))
    if momentum != 0:
        _kernels._foreach_mul_(momenta, momentum)
        _kernels._foreach_add_(momenta, gradients)
        gradients = momenta
    _kernels._foreach_add_(parameters, gradients, alpha=-rate)


# torch wraps the step of a class for hooks and profilers, unless it is said to be wrapped: 10 µs where there are none.
SGD.step.hooked = True  # pyright: ignore[reportFunctionMemberAccess] - set dynamically by torch as well
_take_watched = torch.optim.Optimizer.profile_hook_step(SGD.take)
_optimizers: Any = sys.modules[torch.optim.Optimizer.__module__]
_HOOKS = (_optimizers._global_optimizer_pre_hooks, _optimizers._global_optimizer_post_hooks)


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
