"""Digests of weights: exact integers, equal where every bit of the weights is, computed in one pass where they lie.

A digest is the sum over all numbers of their bit pattern times a factor that is drawn for their place, modulo 2^64:
the same on every device and in every order of adding, another one where two numbers have changed places, and where few
bits have changed as likely as where many have. Integers do not round, so nothing here depends on threads or kernels.

Source: Carter & Wegman, "Universal classes of hash functions", JCSS 1979: the multilinear class.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

FACTOR_SEED = 0x6E6F6E64
"""Of the factors: another one gives other digests, which could not be compared with those that are kept."""

PLACES = 2**16
"""Numbers of a replica that are digested at once: as many factors are drawn, and temporaries are no larger."""

DIGITS = 16
"""Hexadecimal digits of a digest."""

INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of a number → the integers that its bits are read as."""


@functools.cache
def _draw_factors(device: torch.device, places: int) -> Tensor:
    """Return odd factors for places in a part, for parts of a tensor, and for tensors, int64 (3, places).

    Odd ones lose no bit of what they multiply.
    """
    drawn = np.random.Generator(np.random.Philox(FACTOR_SEED)).integers(0, 2**64, (3, places), dtype=np.uint64)
    return torch.from_numpy((drawn | np.uint64(1)).view(np.int64)).to(device)


def read_bits(tensor: Tensor) -> Tensor:
    """Return the numbers of every row of a tensor (K, …) as integers of the same bits, (K, n), in logical order."""
    rows = tensor.detach().flatten(1) if tensor.dim() > 1 else tensor.detach()[:, None]
    if rows.is_complex():
        rows = torch.view_as_real(rows).flatten(1)
    return rows.contiguous().view(INTEGERS[rows.element_size()])


def digest_rows(bits: Tensor) -> Tensor:
    """Return a digest of every row of integers (K, n), int64 (K,), where they lie.

    Parts of PLACES numbers are digested one after the other, and each part's digest counts with a factor of its own.
    """
    of_places, of_parts, _ = _draw_factors(bits.device, PLACES)
    total = torch.zeros(len(bits), dtype=torch.int64, device=bits.device)
    for number, start in enumerate(range(0, bits.shape[1], PLACES)):
        part = bits[:, start : start + PLACES]
        total += (part * of_places[: part.shape[1]]).sum(1) * of_parts[number]
    return total


def digest_stacked(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return a digest of the weights of every replica of a pack, 16 hexadecimal digits each.

    Args:
        tensors: Name → that tensor of all replicas, (K, …).
    """
    each = torch.stack([digest_rows(bits) for bits in _join(map(read_bits, tensors.values()))], dim=1)
    whole = (each * _draw_factors(each.device, PLACES)[2, : each.shape[1]]).sum(1)
    return [f"{value % 2**64:0{DIGITS}x}" for value in whole.tolist()]


def _join(tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield rows of integers side by side: few long ones cost less than many short ones. Long ones are not copied."""
    waiting: dict[torch.dtype, list[Tensor]] = {}
    for bits in tensors:
        held = waiting.setdefault(bits.dtype, [])
        if held and sum(one.shape[1] for one in held) + bits.shape[1] > PLACES:
            yield torch.cat(held, dim=1) if len(held) > 1 else held[0]
            held.clear()
        held.append(bits)
    for held in waiting.values():
        yield torch.cat(held, dim=1) if len(held) > 1 else held[0]


def digest_model(model: nn.Module) -> str:
    """Return the digest of a network's parameters and buffers: that of its replica, where a pack holds the same."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return digest_stacked({name: tensor[None] for name, tensor in tensors.items()})[0]
