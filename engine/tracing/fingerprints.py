"""Reduces a tensor to one number in exact integer arithmetic, on the tensor's own device.

The bits are taken as integers of at most 32 bits. In each block of `BLOCK` of them the fingerprint is their sum, each
times an odd pseudo-random number that belongs to its place, modulo 2^64; the fingerprint of a tensor of several blocks
is that of the blocks' fingerprints. One changed integer always changes the number of its block, and two that change
places do so but for one in 2^32. Sums of integers have no order, so neither threads nor kernels change the number.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Optional, Union

import torch
from torch import Tensor

BLOCK = 16384
"""Integers in a block: its products stay in a core's cache."""
AT_ONCE = 1 << 22
"""Integers that a device multiplies at once: their products take eight bytes each."""

Fingerprint = Union[int, Tensor]
"""Holds the number itself, or where the device is not to be waited for a tensor with it."""

PLAIN = (Tensor, torch.nn.Parameter)
"""Classes of torch whose tensors hold their content themselves."""
PLAIN_DISPATCH = getattr(Tensor, "__torch_dispatch__", None)
"""What classes have that leave their operations to torch."""

SIZES = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int32}
_weights: dict[torch.device, Tensor] = {}
_buffers = threading.local()


def make_weights(count: int = BLOCK) -> Tensor:
    """Return the odd pseudo-random numbers of the places of a block, by SplitMix64."""
    mask = (1 << 64) - 1
    numbers: list[int] = []
    for place in range(1, count + 1):
        z = place * 0x9E3779B97F4A7C15 & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        z = (z ^ z >> 31) | 1
        numbers.append(z - (1 << 64) if z >> 63 else z)
    return torch.tensor(numbers, dtype=torch.int64)


def read(
    tensor: Tensor, read_part: Optional[Callable[[Tensor], Optional[Fingerprint]]] = None
) -> Optional[Fingerprint]:
    """Return the fingerprint of any tensor, or None where its content cannot be read.

    Args:
        tensor: The tensor; one of a class of its own is read from the tensors that it says it holds.
        read_part: Reads one of these; None for this function.
    """
    plain = strip(tensor)
    try:
        if plain is not None:
            return take(plain)
        flatten = getattr(tensor, "__tensor_flatten__", None)
        if flatten is not None:
            return join([(read_part or read)(getattr(tensor, name)) for name in flatten()[0]])
    except RuntimeError:  # with NotImplementedError, what torch says where a kind of tensor has no such operation
        return None
    return None  # a class that does its own operations, and does not say on what


def strip(tensor: Tensor) -> Optional[Tensor]:
    """Return a tensor that holds its content itself without its class, in the same memory; None of any other one."""
    if type(tensor) in PLAIN:
        return tensor
    if hasattr(tensor, "__tensor_flatten__") or getattr(type(tensor), "__torch_dispatch__", None) is not PLAIN_DISPATCH:
        return None
    return tensor.as_subclass(Tensor)


def find_shape(tensor: Tensor) -> tuple[int, ...]:
    """Return the shape of any tensor; -1 stands for a length that is not one number, as of nested tensors."""
    if tensor.is_nested and tensor.layout is torch.strided:
        return (len(tensor._nested_tensor_size()), *[-1] * (tensor.dim() - 1))
    return tuple(size if type(size) is int else -1 for size in tensor.shape)


def take(tensor: Tensor) -> Optional[Fingerprint]:
    """Return the fingerprint of a tensor, or None where its content cannot be read.

    It is called without autograd and without a dispatch mode. Strides do not change it: a tensor that is not laid out
    in its own order is read in the order of its memory, and broadcast elements once.
    """
    if tensor.layout is not torch.strided:
        return _take_parts(tensor)
    if tensor.device.type == "meta":
        return None
    if tensor.is_nested:
        return join([take(tensor._nested_tensor_size()), take(tensor.values())])
    if tensor.is_quantized:
        return join([take(tensor.int_repr()), *map(take, _find_scales(tensor))])
    if tensor.is_conj():
        tensor = tensor.resolve_conj()
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    return _take_strided(tensor)


def settle(found: list[Fingerprint]) -> list[int]:
    """Return fingerprints as numbers; those of one device are fetched together."""
    numbers: list[int] = [value if isinstance(value, int) else 0 for value in found]
    waiting: dict[torch.device, list[int]] = {}
    for place, value in enumerate(found):
        if not isinstance(value, int):
            waiting.setdefault(value.device, []).append(place)
    for places in waiting.values():
        values = torch.stack([found[place] for place in places]).tolist()  # type: ignore[arg-type]
        for place, number in zip(places, values):
            numbers[place] = number
    return numbers


def _take_strided(tensor: Tensor) -> Fingerprint:
    if tensor.numel() == 0:
        return 0
    if not tensor.is_contiguous():
        tensor = _lay_out(tensor)
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    flat = tensor.reshape(-1).view(SIZES[tensor.element_size()])
    return _sum_on_cpu(flat) if flat.device.type == "cpu" else _sum_on_device(flat)


def _lay_out(tensor: Tensor) -> Tensor:
    """Return the elements of a tensor in a row, without a copy where they lie in one."""
    for dimension, (size, stride) in enumerate(zip(tensor.shape, tensor.stride())):
        if stride == 0 and size > 1:
            tensor = tensor.narrow(dimension, 0, 1)
    order = sorted(range(tensor.dim()), key=lambda dimension: -tensor.stride(dimension))
    return tensor.permute(order).contiguous()


def _sum_on_cpu(flat: Tensor) -> int:
    """Return the fingerprint of integers on the CPU: block by block, since large products would leave the cache."""
    weights, buffer = _find_weights(flat.device), _find_buffer()
    count = flat.shape[0]
    if count == BLOCK:
        return int(torch.dot(buffer.copy_(flat), weights).item())
    if count < BLOCK:
        return int(torch.dot(buffer[:count].copy_(flat), weights[:count]).item())
    return _sum_on_cpu(torch.tensor([_sum_on_cpu(block) for block in flat.split(BLOCK)]).view(torch.int32))


def _sum_on_device(flat: Tensor) -> Tensor:
    """Return the same fingerprint of integers on another device, without waiting for it."""
    weights = _find_weights(flat.device)
    if flat.shape[0] <= BLOCK:
        return (flat * weights[: flat.shape[0]]).sum()
    whole = flat.shape[0] // BLOCK * BLOCK
    sums = [(part.view(-1, BLOCK) * weights).sum(1) for part in flat[:whole].split(AT_ONCE)]
    if whole < flat.shape[0]:
        sums.append((flat[whole:] * weights[: flat.shape[0] - whole]).sum().reshape(1))
    return _sum_on_device(torch.cat(sums).view(torch.int32))


def _find_weights(device: torch.device) -> Tensor:
    weights = _weights.get(device)
    if weights is None:
        weights = _weights[device] = make_weights().to(device)
    return weights


def _find_buffer() -> Tensor:
    """Return a block of this thread's own: the backward pass may run in another one."""
    buffer: Optional[Tensor] = getattr(_buffers, "block", None)
    if buffer is None:
        buffer = _buffers.block = torch.empty(BLOCK, dtype=torch.int64)
    return buffer


def _find_scales(tensor: Tensor) -> list[Tensor]:
    """Return what turns the integers of a quantised tensor into its values."""
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return [torch.tensor([tensor.q_scale(), tensor.q_zero_point()], dtype=torch.float64)]
    return [tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()]


def _take_parts(tensor: Tensor) -> Optional[Fingerprint]:
    """Return the fingerprint of a sparse tensor: of its indices and its values."""
    if tensor.layout is torch.sparse_coo:
        return join([take(tensor._indices()), take(tensor._values())])
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return join([take(tensor.crow_indices()), take(tensor.col_indices()), take(tensor.values())])
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return join([take(tensor.ccol_indices()), take(tensor.row_indices()), take(tensor.values())])
    return take(tensor.to_dense()) if tensor.is_mkldnn else None


def join(parts: list[Optional[Fingerprint]]) -> Optional[Fingerprint]:
    """Return the fingerprint of several parts from theirs; None where one of them has none."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    devices = [part.device for part in known if isinstance(part, Tensor)]
    if not devices:
        return _take_strided(torch.tensor(known, dtype=torch.int64))
    return _take_strided(torch.stack([torch.as_tensor(part, device=devices[0]) for part in known]))
