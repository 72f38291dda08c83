"""Knows in which module of the network an operation happens, forward and backward, and whose memory a parameter is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

_count_nodes: Callable[[], int] = getattr(torch.autograd, "_get_sequence_nr", lambda: 0)
"""Says how many nodes this thread has made; where torch does not, modules have no name in the backward pass."""

_find_node: Callable[[], Any] = getattr(torch._C, "_current_autograd_node", lambda: None)


def find_node() -> Any:
    """Return the node of the backward pass that is being computed, or None outside of one."""
    return _find_node()


def find_address(tensor: Tensor) -> int:
    """Return the address of a tensor's storage, 0 where it has none of its own: if sparse, or inside of `vmap`."""
    if tensor.layout is not torch.strided:
        return 0
    try:
        return tensor.untyped_storage()._cdata
    except RuntimeError:  # with NotImplementedError, what torch says of a tensor without memory of its own
        return 0


class ModuleNames:
    """Follows the modules that are entered and left, by hooks that torch calls for every module."""

    def __init__(self, model: Optional[nn.Module] = None) -> None:
        """Take the network whose modules are named, where it is known; else they are named once it is called."""
        self.parameters: dict[int, str] = {}
        """Address of a storage → qualified name of the parameter or buffer that it belongs to."""
        self.borrowed: dict[int, str] = {}
        """Likewise, of gradients and of what an optimiser keeps, while it takes a step: their memory is given back."""
        self._stack: list[tuple[int, str, bool]] = []
        self._names: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
        self._by_node: dict[int, str] = {}
        self._handles: list[Any] = []
        if model is not None:
            self._name_all(model)

    def attach(self) -> None:
        """Begin to follow."""
        self._handles = [hooks.register_module_forward_pre_hook(self._enter), _register_leaving(self._leave)]

    def detach(self) -> None:
        """End it."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._stack.clear()

    def find(self, node: Any) -> tuple[str, bool]:
        """Return the module of the operation that is executed now, and whether it belongs to a backward pass.

        Args:
            node: The node of the backward pass, from `find_node`.
        """
        if self._stack and (node is None or self._stack[-1][2]):
            # A module that is entered during the backward pass is computed again, as checkpoints of activations are.
            name = self._stack[-1][1]
            self._note(name)
            return name, False
        if node is None:
            self._note("")
            return "", False
        variable = getattr(node, "variable", None)
        if variable is not None:
            return self.find_parameter(variable), True
        return self._by_node.get(node._sequence_nr(), ""), True

    def find_parameter(self, tensor: Tensor) -> str:
        """Return the name of the parameter whose memory a tensor is, or an empty text."""
        address = find_address(tensor)
        return (self.parameters.get(address) or self.borrowed.get(address, "")) if address else ""

    def name_parameter(self, tensor: Tensor, name: str) -> None:
        """Give a parameter a name where it has none."""
        address = find_address(tensor)
        if address:
            self.parameters.setdefault(address, name)

    def name_step(self, optimiser: torch.optim.Optimizer) -> None:
        """Name what an optimiser is going to work on: parameters, their gradients, and what it keeps of each."""
        for place, group in enumerate(optimiser.param_groups):
            for number, parameter in enumerate(group["params"]):
                self.name_parameter(parameter, f"group {place} parameter {number}")
                name = self.find_parameter(parameter)
                kept = {**optimiser.state.get(parameter, {}), "grad": parameter.grad}
                for word, tensor in kept.items():
                    if isinstance(tensor, Tensor):
                        self.borrowed[find_address(tensor)] = f"{name} {word}"

    def _note(self, name: str) -> None:
        """Keep whose node was made last: the operation that is executed now made it, unless nothing was recorded."""
        self._by_node.setdefault(_count_nodes() - 1, name)

    def _enter(self, module: nn.Module, _inputs: Any) -> None:
        if not self._stack:
            self._name_all(module)
        name = self._names.get(module)
        if name is None:
            name = f"{self._stack[-1][1]}.{type(module).__name__}" if self._stack else type(module).__name__
        self._stack.append((id(module), name, find_node() is not None))

    def _leave(self, module: nn.Module, _inputs: Any, _output: Any) -> None:
        while self._stack and self._stack.pop()[0] != id(module):
            pass  # one that ended with an error was not left

    def _name_all(self, root: nn.Module) -> None:
        for name, module in root.named_modules():
            self._names.setdefault(module, name or type(module).__name__)
        for name, tensor in [*root.named_parameters(), *root.named_buffers()]:
            self.name_parameter(tensor, name)


def _register_leaving(hook: Callable[..., None]) -> Any:
    try:
        return hooks.register_module_forward_hook(hook, always_call=True)
    except TypeError:  # before torch 2.1
        return hooks.register_module_forward_hook(hook)
