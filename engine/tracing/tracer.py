"""Records every operation of torch while it is entered: name, module, phase, fingerprints of what goes in and out."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from . import fingerprints
from .memory import Memory
from .modules import ModuleNames, find_node
from .records import GENERATOR, Record, Value
from .schemas import Operation, describe

AT_ONCE = 4096
"""Records after which a sink is given what there is."""
PLAIN_ARGUMENTS = (int, float, complex, str, torch.dtype, torch.device, torch.layout, torch.memory_format)
LONGEST_TEXT = 300
"""Characters of arguments that are kept in full."""


class Tracer(TorchDispatchMode):
    """Records the operations of what runs inside of `with`, in this thread and in the backward passes that it starts.

    Nothing that is computed changes. Processes that are forked off are left alone. What is compiled runs as torch runs
    it under a dispatch mode: uncompiled.
    """

    supports_higher_order_operators = True

    def __init__(
        self,
        model: Optional[nn.Module] = None,
        *,
        watch: Optional[int] = None,
        sink: Optional[Callable[[list[Record]], None]] = None,
    ) -> None:
        """Take what is to be kept beside the records.

        Args:
            model: The network, for names of modules; without it the outermost module that is called gives them.
            watch: Number of the record whose tensors are kept.
            sink: Takes records as they come, so that a long trace needs no memory; they are not kept then.
        """
        super().__init__()
        self.kept: dict[str, Tensor] = {}
        """Copies on the CPU of the tensors of the watched record: "input LABEL" as it was before, "output LABEL"."""
        self.count = 0
        """Records so far."""
        self._watch, self._sink = watch, sink
        self._names = ModuleNames(model)
        self._memory = Memory()
        self._raw: list[Record] = []
        self._done: list[Record] = []
        self._process = os.getpid()
        self._optimisers = 0
        self._handles: list[Any] = []

    @property
    def unread(self) -> int:
        """Return how often a tensor could not be read."""
        return self._memory.unread

    @property
    def records(self) -> list[Record]:
        """Return all records so far, unless a sink takes them."""
        self.flush()
        return self._done

    def attach(self) -> None:
        """Follow modules and optimisers, without recording yet: inside of their hooks it would be too late."""
        self._names.attach()
        self._handles = [
            register_optimizer_step_pre_hook(self._begin_step),
            register_optimizer_step_post_hook(self._end_step),
        ]

    def stop(self) -> None:
        """Record nothing more, without leaving: what was entered since is not disturbed."""
        self._process = -1

    def __enter__(self) -> "Tracer":
        """Begin to record."""
        if not self._handles:
            self.attach()
        super().__enter__()
        return self

    def __exit__(self, *reason: Any) -> None:
        """End recording."""
        super().__exit__(*reason)
        self._names.detach()
        for handle in self._handles:
            handle.remove()
        self.flush()

    def flush(self) -> None:
        """Fetch fingerprints that a device still has, and hand on what was recorded."""
        with _disable_current_modes():
            done = _settle(self._raw)
        self._raw = []
        if self._sink is None:
            self._done += done
        elif done:
            self._sink(done)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Optional[Mapping[str, Any]] = None
    ) -> Any:
        """Execute an operation and record it."""
        named = kwargs or {}
        operation = describe(func)
        if operation is None or os.getpid() != self._process:
            return func(*args, **named)
        tensors, text = _sort_arguments(operation, args, named)
        if operation.is_memory:
            return self._take_memory(operation, tensors, func(*args, **named))
        module, is_backward = self._names.find(find_node())
        number, self.count = self.count, self.count + 1
        watched = number == self._watch
        inputs: list[Value] = []
        if not operation.is_view:
            inputs = [self._see(label, one) for label, name, one in tensors if name not in operation.unread]
            if operation.is_random:
                inputs.append(self._see(GENERATOR, _find_generator_state(tensors, args, named)))
        if watched:
            self._keep("input", tensors)
        result = func(*args, **named)
        outputs = self._record_outputs(operation, tensors, result, watched=watched)
        if is_backward:
            phase = "backward"
        elif module:
            phase = "forward"
        elif self._optimisers:
            phase = "optimiser"
            module = next((one.parameter for one in (*outputs, *inputs) if one.parameter), "")
        else:
            phase = "forward" if any(one.requires_grad for _, _, one in tensors) else "other"
        self._raw.append(
            Record(number, operation.name, module, phase, operation.is_random, text, tuple(inputs), tuple(outputs))
        )
        if self._sink is not None and len(self._raw) >= AT_ONCE:
            self.flush()
        return result

    def _take_memory(self, operation: Operation, tensors: list[tuple[str, str, Tensor]], result: Any) -> Any:
        """Follow memory that an operation takes or exchanges, and return its result: that computes nothing.

        Tensors of loader workers arrive in this way, and at any moment, so that these operations have no fixed order.
        """
        for one in [
            *(one for _, name, one in tensors if name in operation.written),
            *dict(_list_results(result)).values(),
        ]:
            if operation.is_filled:
                self._memory.write(one)
            else:
                self._memory.blank(one)
        return result

    def _record_outputs(
        self, operation: Operation, tensors: list[tuple[str, str, Tensor]], result: Any, *, watched: bool
    ) -> list[Value]:
        """Return what an operation wrote and returned."""
        written = [(label, name, one) for label, name, one in tensors if name in operation.written]
        for _, _, one in written:
            self._memory.write(one)
        same = {id(one) for _, _, one in written}
        returned = [(label, "", one) for label, one in _list_results(result) if id(one) not in same]
        if watched:
            self._keep("output", [*written, *returned])
        if operation.is_view:
            return [self._look(label, one) for label, _, one in [*written, *returned]]
        hidden = {str(place) for place in operation.workspaces}
        values = [self._see(label, one) for label, _, one in written]
        values += [(self._look if label in hidden else self._see)(label, one) for label, _, one in returned]
        return values

    def _see(self, label: str, tensor: Any) -> Value:
        """Return a tensor's description with its fingerprint; a number is one, too."""
        if not isinstance(tensor, Tensor):
            return Value(label, type(tensor).__name__, (), zlib.crc32(repr(tensor).encode()), "")
        return self._look(label, tensor)._replace(print=self._memory.take(tensor))

    def _look(self, label: str, tensor: Any) -> Value:
        """Return a tensor's description without its content."""
        if not isinstance(tensor, Tensor):
            return Value(label, type(tensor).__name__, (), None, "")
        return Value(
            label, str(tensor.dtype)[6:], fingerprints.find_shape(tensor), None, self._names.find_parameter(tensor)
        )

    def _keep(self, kind: str, tensors: list[tuple[str, str, Any]]) -> None:
        """Keep copies of tensors without their class: another process, which knows none of it, is to read them."""
        for label, _, one in tensors:
            plain = fingerprints.strip(one) if isinstance(one, Tensor) else None
            if plain is not None:
                self.kept[f"{kind} {label}"] = plain.detach().clone().cpu()

    def _begin_step(self, optimiser: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        self._optimisers += 1
        self._memory.forget()
        self._names.name_step(optimiser)

    def _end_step(self, _optimiser: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        self._optimisers -= 1
        self._memory.forget()
        self._names.borrowed.clear()


def _sort_arguments(
    operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[tuple[str, str, Tensor]], str]:
    """Return the tensors among arguments, each with its label and the name of its argument, and the others as text."""
    tensors: list[tuple[str, str, Tensor]] = []
    others: list[str] = []
    for name, value in (*zip(operation.labels, args), *kwargs.items()):
        if isinstance(value, Tensor):
            tensors.append((name, name, value))
        elif isinstance(value, (list, tuple)) and any(isinstance(one, Tensor) for one in value):
            tensors += [(f"{name}[{k}]", name, one) for k, one in enumerate(value) if isinstance(one, Tensor)]
        elif isinstance(value, torch.Generator):
            others.append(f"{name}=given")
        elif value is not None:
            others.append(f"{name}={_write_argument(value)}")
    text = ", ".join(others)
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}… {zlib.crc32(text.encode())}"
    return tensors, text


def _write_argument(value: Any) -> str:
    """Return an argument as text that is the same in every process: of objects such as storages the type alone."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_write_argument, value))}]"
    return str(value) if isinstance(value, PLAIN_ARGUMENTS) else type(value).__name__


def _list_results(result: Any) -> Iterator[tuple[str, Any]]:
    """Yield all tensors and numbers that an operation returned, with their places."""
    if isinstance(result, (list, tuple)):
        for place, one in enumerate(result):
            if isinstance(one, (list, tuple)):
                yield from ((f"{place}[{k}]", inner) for k, inner in enumerate(one))
            elif one is not None:
                yield str(place), one
    elif result is not None:
        yield "0", result


def _find_generator_state(
    tensors: list[tuple[str, str, Tensor]], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Tensor:
    """Return the state of the generator that an operation draws from."""
    generator = next((one for one in (*args, *kwargs.values()) if isinstance(one, torch.Generator)), None)
    if generator is None:
        device = tensors[0][2].device if tensors else torch.device(kwargs.get("device") or "cpu")
        if device.type != "cuda":
            return torch.default_generator.get_state()
        place: Any = device.index
        generator = torch.cuda.default_generators[torch.cuda.current_device() if place is None else place]
    return generator.get_state()


def _settle(records: list[Record]) -> list[Record]:
    """Return records whose fingerprints are all numbers."""
    found: list[Any] = [one.print for record in records for one in (*record.inputs, *record.outputs)]
    if all(one is None or isinstance(one, int) for one in found):
        return records
    numbers = iter(fingerprints.settle([one for one in found if one is not None]))

    def replace(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(one if one.print is None else one._replace(print=next(numbers)) for one in values)

    return [record._replace(inputs=replace(record.inputs), outputs=replace(record.outputs)) for record in records]
