"""A CUDA device that is not there: tensors that say they are on cuda:0, and are computed on the CPU.

Every operation is looked at on its way to the kernels: see `rules` for what is refused, and
`graphs` for steps that are recorded. Rounding, speed, streams and cuDNN cannot be shown so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

from engine.training.compiler import spare_mode
from tests.helpers.pretended_gpu.races import Races
from tests.helpers.pretended_gpu.rules import Call, RefusedError, aten, crosses, find_wait, refuse

CUDA, CPU = torch.device("cuda:0"), torch.device("cpu")


class PretendedTensor(Tensor):
    """Says that it is on cuda:0; its numbers are in `elem`, on the CPU."""

    elem: Tensor

    @staticmethod
    def __new__(cls, elem: Tensor) -> PretendedTensor:
        made = Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue] - made in C++
            cls,
            elem.size(),
            strides=elem.stride(),
            storage_offset=elem.storage_offset(),
            dtype=elem.dtype,
            layout=elem.layout,
            device=CUDA,
            requires_grad=False,
        )
        made.elem = elem
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["elem"], None

    @staticmethod
    def __tensor_unflatten__(inner: Any, meta: Any, size: Any, stride: Any) -> PretendedTensor:
        return PretendedTensor(inner["elem"])

    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType] - made in C++

    def tolist(self) -> Any:
        """As a copy on the CPU, which is waited for."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return DEVICE.compute(func, args, kwargs or {})


@spare_mode
class Watch(TorchDispatchMode):
    """Sees operations that make tensors out of nothing, too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return DEVICE.compute(func, args, kwargs or {})


@dataclass(frozen=True)
class Step:
    """One operation of a recorded step."""

    func: Any
    args: Any
    kwargs: dict[str, Any]
    result: Any
    made: tuple[bool, ...]
    """Which tensors of the result have memory of their own."""
    bytes: int
    """That it reads and writes; 0 where it only looks at memory otherwise."""
    read: tuple[Tensor, ...]
    written: tuple[Tensor, ...]
    fresh: tuple[Tensor, ...]
    """Its results that have memory of their own."""


@dataclass
class Counts:
    """What was done since the last time that somebody began to count."""

    waits: Counter[str] = field(default_factory=Counter)
    """What the CPU waited for."""
    copies: int = 0
    """Copies from the CPU's memory to the GPU's."""
    launches: int = 0
    """Kernels that the CPU launches one by one, and graphs of them."""
    kernels: int = 0
    """Kernels that are done, those of graphs included."""
    bytes: int = 0
    """Bytes that they read and write: each input once, each result once."""


class Device:
    """What is done on cuda:0, and what the CPU has waited for."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.races = Races()
        self.pinned: set[int] = set()
        """Addresses of memory on the CPU that the GPU fetches from by itself."""
        self.recording: list[Step] | None = None
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}
        """By address, memory that a recording would have written, and what was in it."""
        self.largest_bytes: float = float("inf")
        """Memory of one tensor, above which there is no room."""

    def forget(self) -> None:
        """Begin to count anew."""
        self.counts = Counts()
        self.races.forget()

    def compute(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Do an operation as CUDA would, or refuse it.

        Raises:
            RefusedError: If CUDA would refuse it.
            OutOfMemoryError: If its result is larger than there is room for.
        """
        tensors = find_tensors((args, kwargs))
        here = tuple(t for t in tensors if isinstance(t, PretendedTensor))
        if not here and "device" not in kwargs:
            return func(*args, **kwargs)
        others = () if len(here) == len(tensors) else tuple(t for t in tensors if not isinstance(t, PretendedTensor))
        call = Call(func, args, kwargs, here, others)
        if not here and not call.makes:
            return func(*args, **kwargs)
        refuse(call)
        waited = find_wait(call, lambda tensor: tensor.untyped_storage().data_ptr() in self.pinned)
        if waited is not None and self.recording is not None:
            self.wait(waited)
        self.counts.copies += crosses(call) and not call.leaves and bool(call.others)
        inner_args, inner_kwargs = _put_on_cpu(call)
        if self.recording is not None:
            self._keep(func, inner_args, inner_kwargs)
        result = func(*inner_args, **inner_kwargs)
        note = note_step(func, inner_args, inner_kwargs, result, call.others)
        if self.recording is not None:
            self.recording.append(note)
        else:
            self.counts.launches += note.bytes > 0
            self.count(note)
            if waited is not None:
                self.wait(waited)
        if call.leaves:
            return result
        if call.packet is aten.copy_ and not isinstance(args[0], PretendedTensor):
            return args[0]
        self._find_room(result)
        wrapped = replace_tensors(result, Tensor, PretendedTensor)
        return return_and_correct_aliasing(func, args, kwargs, wrapped) if here else wrapped

    def count(self, step: Step) -> None:
        """Count an operation that is done, and look whether another stream is in its way."""
        self.races.use(step.func, step.read, step.written, step.fresh)
        self.counts.kernels += step.bytes > 0
        self.counts.bytes += step.bytes

    def wait(self, what: str) -> None:
        """Have the CPU wait, which it may not while a step is recorded."""
        if self.recording is not None:
            raise RefusedError(f"CUDA error: operation not permitted when stream is capturing: {what}")
        self.races.forget()
        self.counts.waits[what] += 1

    def _find_room(self, result: Any) -> None:
        for tensor in find_tensors(result):
            if tensor.untyped_storage().nbytes() > self.largest_bytes:
                raise torch.OutOfMemoryError("CUDA out of memory")

    def _keep(self, func: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Remember the memory that an operation is about to write."""
        for tensor in _find_written(func, args, kwargs):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.kept:
                whole = torch.empty(0, dtype=torch.uint8).set_(storage)
                self.kept[storage.data_ptr()] = (whole, whole.clone())


def find_tensors(value: Any) -> list[Tensor]:
    """The tensors in what an operation takes or gives, in order: torch's own trees know more kinds, and are slow."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return []
    return [tensor for one in value for tensor in find_tensors(one)]


def replace_tensors(value: Any, kind: type[Tensor], change: Callable[[Any], Tensor]) -> Any:
    """What an operation takes or gives, with tensors of a kind changed."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, dict):
        return {name: replace_tensors(one, kind, change) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(replace_tensors(one, kind, change) for one in value)
    return value


def _put_on_cpu(call: Call) -> tuple[Any, dict[str, Any]]:
    """The arguments of an operation as the CPU is to see them."""
    args, kwargs = replace_tensors((call.args, dict(call.kwargs)), PretendedTensor, lambda t: t.elem)
    if call.makes:
        kwargs["device"] = CPU
    return _widen_batch_norm(call.packet, args), kwargs


def note_step(func: Any, args: Any, kwargs: dict[str, Any], result: Any, others: tuple[Tensor, ...]) -> Step:
    """What is to be known of an operation that is done; `others` are its tensors on the CPU."""
    taken, results = find_tensors((args, kwargs)), find_tensors(result)
    inputs = {t.untyped_storage().data_ptr() for t in taken}
    made = tuple(t.untyped_storage().data_ptr() not in inputs for t in results)
    moved = sum(t.nbytes for t in (*taken, *results)) if any(made) or func._schema.is_mutable else 0
    written = tuple(t for t in _find_written(func, args, kwargs) if not _is_in(t, others))
    read = tuple(t for t in taken if not _is_in(t, others)) if moved else ()
    fresh = tuple(t for t, own in zip(results, made, strict=True) if own)
    return Step(func, args, kwargs, result, made, moved, read, written, fresh)


def _is_in(tensor: Tensor, tensors: tuple[Tensor, ...]) -> bool:
    return any(tensor is other for other in tensors)


def _find_written(func: Any, args: Any, kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes into, by its schema."""
    found: list[Tensor] = []
    packet = func.overloadpacket
    if packet is aten._batch_norm_with_update or (packet is aten.native_batch_norm and args[5]):
        found += [t for t in args[3:5] if t is not None]  # its schema does not say that it writes the statistics
    for number, name in _list_written(func):
        found += find_tensors(args[number] if number < len(args) else kwargs.get(name))
    return found


@cache
def _list_written(func: Any) -> tuple[tuple[int, str], ...]:
    """Numbers and names of the arguments that an operation writes into."""
    arguments = enumerate(func._schema.arguments)
    return tuple((n, one.name) for n, one in arguments if one.alias_info is not None and one.alias_info.is_write)


def _widen_batch_norm(packet: Any, args: Any) -> Any:
    """Batch norm in bfloat16 with statistics in float32, as CUDA computes it: the CPU wants scales in float32, too."""
    if packet not in (aten.native_batch_norm, aten.native_batch_norm_backward):
        return args
    forward = packet is aten.native_batch_norm
    statistics = args[3:5] if forward else args[3:7]
    if args[0 if forward else 1].dtype == torch.float32:
        return args
    if not any(t is not None and t.dtype == torch.float32 for t in statistics):
        return args
    scales = (1, 2) if forward else (2,)
    return type(args)(a.float() if i in scales and a is not None else a for i, a in enumerate(args))


def pin(tensor: Tensor, *_: Any) -> Tensor:
    """Stand for `Tensor.pin_memory`."""
    pinned = tensor.clone()
    DEVICE.pinned.add(pinned.untyped_storage().data_ptr())
    return pinned


DEVICE = Device()
