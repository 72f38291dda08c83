"""Keeps torch from loading its compiler where nothing is compiled: it takes a second and a hundred megabytes.

Every worker and every probe would pay that before its first step: optimisers, and modes that watch operations, load
torch._dynamo to say that it must leave them alone.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

M = TypeVar("M", bound=type[TorchDispatchMode])

COMPILER = "torch._dynamo"

MOST_COMPILED = 64
"""Versions of one function that may be compiled in a process."""

SPARED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
"""Methods of optimisers that load the compiler at their first call, unless what they are without it is noted."""


def spare_optimisers() -> None:
    """Let optimisers be made and used without the compiler; where torch does that otherwise, nothing changes."""
    if COMPILER in sys.modules:
        return
    for name in SPARED:
        _spare(getattr(torch.optim.Optimizer, name))


def spare_mode(mode: M) -> M:
    """Let a mode see operations without the compiler; decorates its class."""
    if COMPILER not in sys.modules:
        _spare(mode.__torch_dispatch__)
    return mode


def _spare(function: Callable[..., Any]) -> None:
    """Let what torch has wrapped be called without the compiler."""
    plain = getattr(function, "__wrapped__", None)
    if plain is not None:
        setattr(plain, "__dynamo_disable", plain)


def find_step(optimiser: type[torch.optim.Optimizer]) -> Callable[..., Any]:
    """Return the step of a class of optimisers without what is around it for the compiler and for profilers."""
    return inspect.unwrap(optimiser.step)


def load_compiler() -> None:
    """Load the compiler before a training.

    A first import in the midst of one would keep its frames, and with them its tensors, in a cycle until the collector
    comes by; on a GPU that is memory.
    """
    importlib.import_module(COMPILER)


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled function; where torch is told to be deterministic, its kernels are chosen without measuring."""
    _choose_kernels()
    return torch.compile(function)


def compile_network(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return what computes a network by kernels that are compiled for each shape of its inputs, when it comes.

    Kernels for any shape would take the place of those for one at the first batch of another size: what a step rounds
    to would depend on what was computed before it, and a run that goes on from a checkpoint would end otherwise.
    """
    _choose_kernels()
    _allow_versions()
    return torch.compile(model, dynamic=False).__call__  # a function: the module that torch returns has no truth value


def compile_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with a loop over small kernels, which is compiled as a whole and calls them from C++."""
    _choose_kernels()
    _allow_versions()
    return torch.compile(function, fullgraph=True, dynamic=False, options={"cpp_wrapper": True})


def find_while_loop() -> Callable[..., Any]:
    """Return torch's loop over tensors, which can be compiled; torch documents it, and has no public name for it yet.

    Source: https://docs.pytorch.org/docs/stable/higher_order_ops/while_loop.html
    """
    return importlib.import_module("torch._higher_order_ops").while_loop


def _allow_versions() -> None:
    """Let each replica and each shape be compiled; past the limit torch would go on without a word, uncompiled."""
    config: Any = importlib.import_module(f"{COMPILER}.config")
    config.recompile_limit, config.fail_on_recompile_limit_hit = MOST_COMPILED, True


def _choose_kernels() -> None:
    config: Any = importlib.import_module("torch._inductor.config")
    config.deterministic = torch.are_deterministic_algorithms_enabled()
