"""Making a CPU build of torch take a pretended GPU for a real one."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from engine.training.recording.recorder import FAILED
from tests.helpers.pretended_gpu.device import DEVICE, Device, Watch, pin
from tests.helpers.pretended_gpu.graphs import USUAL, Capture, Graph, Pool, Stream, StreamContext, set_stream
from tests.helpers.pretended_gpu.races import CURRENT

CUDA_PLACE, META_PLACE, PLACES = 1, 14, 21
"""Of the devices in c10's table of device guards."""

GUARD_ONES, GUARD_ZEROS = (0, 1, 2, 5, 6, 7, 8, 9, 14, 15), (3, 4, 11, 12, 13, 18, 20, 21)
"""Virtual functions that return the device cuda:0 or its kind, and those that return nothing, or stream 0.

Source: their order in c10/core/impl/DeviceGuardImplInterface.h.
"""

HOOKS = {2: 1, 4: 0}
"""CUDA is built in, and its context is not there yet. Source: ATen/detail/AcceleratorHooksInterface.h."""

_keep: list[Any] = []
"""Memory that C++ code refers to from now on."""


def _returning(number: int) -> int:
    """Address of a function that returns a number: an enum, a bool, a device with index 0 or its stream 0."""
    code = {
        "x86_64": bytes([0xB8, number, 0, 0, 0, 0x31, 0xD2, 0xC3]),
        "aarch64": (0x52800000 | number << 5).to_bytes(4, "little") + b"\x01\x00\x80\xd2\xc0\x03\x5f\xd6",
    }[platform.machine()]
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    _keep.append(page)
    return ctypes.addressof(ctypes.c_char.from_buffer(page))


def _copy_table(address: int, changes: dict[int, int], entries: int = 60) -> int:
    """Address of a copy of a C++ object's table of virtual functions, some of them returning a number instead."""
    table = (ctypes.c_void_p * (entries + 2))()
    ctypes.memmove(table, address - 16, 8 * (entries + 2))
    for place, number in changes.items():
        table[2 + place] = _returning(number)
    _keep.append(table)
    return ctypes.addressof(table) + 16


def install() -> None:
    """Give torch a device guard for CUDA that does nothing, and let autograd take CUDA for built in; once a process.

    Before the first backward pass: that is when autograd makes a thread for each device.
    """
    folder = Path(torch.__file__).parent / "lib"
    guards = (ctypes.c_void_p * PLACES).in_dll(
        ctypes.CDLL(str(folder / "libc10.so")), "_ZN3c104impl26device_guard_impl_registryE"
    )
    assert not guards[CUDA_PLACE], "a build with CUDA has a guard of its own"
    meta = ctypes.cast(guards[META_PLACE] or 0, ctypes.POINTER(ctypes.c_void_p))
    changes = dict.fromkeys(GUARD_ONES, 1) | dict.fromkeys(GUARD_ZEROS, 0)
    guard = (ctypes.c_void_p * 1)(_copy_table(meta[0] or 0, changes))
    _keep.append(guard)
    guards[CUDA_PLACE] = ctypes.addressof(guard)
    find_hooks = ctypes.CDLL(str(folder / "libtorch_cpu.so"))._ZN2at6detail12getCUDAHooksEv
    find_hooks.restype = ctypes.c_void_p
    hooks = ctypes.cast(find_hooks(), ctypes.POINTER(ctypes.c_void_p))
    hooks[0] = _copy_table(hooks[0] or 0, HOOKS)


REPLACED: dict[str, Any] = {
    "_lazy_init": lambda: None,
    "current_device": lambda: 0,
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "synchronize": lambda *_: DEVICE.wait("synchronize"),
    "empty_cache": lambda: None,
    "Stream": Stream,
    "current_stream": lambda *_: CURRENT[0],
    "set_stream": set_stream,
    "stream": StreamContext,
    "CUDAGraph": Graph,
    "graph_pool_handle": Pool,
    "graph": Capture,
    "get_device_name": lambda *_: "pretended",
    "manual_seed_all": lambda *_: None,
    "manual_seed": lambda *_: None,
    "get_rng_state": lambda *_: torch.zeros(16, dtype=torch.uint8),
    "set_rng_state": lambda *_: None,
    "_is_in_bad_fork": lambda: False,
    "is_bf16_supported": lambda *_: True,
    "is_current_stream_capturing": lambda: DEVICE.recording is not None,
}
"""Functions of torch.cuda that the project and torch itself call."""

ACCELERATOR: dict[str, Any] = {
    "current_accelerator": lambda *_, **__: torch.device("cuda"),
    "current_stream": lambda *_: CURRENT[0],
}
"""Functions of torch.accelerator that optimisers call."""


@contextlib.contextmanager
def pretend_cuda(*, largest_bytes: float = float("inf")) -> Iterator[Device]:
    """Have a cuda:0 for a while.

    Args:
        largest_bytes: Size of the largest tensor that there is room for.
    """
    before = [(module, name, getattr(module, name)) for module, names in _replacements() for name in names]
    lifted = torch._C._only_lift_cpu_tensors()
    DEVICE.forget()
    FAILED.clear()
    DEVICE.largest_bytes = largest_bytes
    set_stream(USUAL)
    try:
        for module, names in _replacements():
            for name, value in names.items():
                setattr(module, name, value)
        torch._C._set_only_lift_cpu_tensors(True)
        with Watch():
            yield DEVICE
    finally:
        torch._C._set_only_lift_cpu_tensors(lifted)
        for module, name, value in before:
            setattr(module, name, value)


def _replacements() -> tuple[tuple[Any, dict[str, Any]], ...]:
    return (torch.cuda, REPLACED), (torch.accelerator, ACCELERATOR), (torch.Tensor, {"pin_memory": pin})
