"""Measures how far two tensors are apart: in units of the last place, and where."""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from .records import Difference

SIGNED = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def measure(first: Tensor, second: Tensor) -> Optional[Difference]:
    """Return how two tensors differ, or None where all bits agree, shapes or types do not, or lengths are nested."""
    if first.is_nested or second.is_nested:  # a strided one has no shape to ask for
        return None
    if first.shape != second.shape or first.dtype != second.dtype:
        return None
    a, b = _flatten(first), _flatten(second)
    bits, others = a.view(SIGNED[a.element_size()]), b.view(SIGNED[b.element_size()])
    places = (bits != others).nonzero().reshape(-1)
    if not len(places):
        return None
    place, per = int(places[0]), a.numel() // max(first.numel(), 1)
    return Difference(
        elements=a.numel(),
        differing=len(places),
        ulps=_count_ulps(a[places], b[places]) if a.is_floating_point() else None,
        absolute=_find_largest(a[places], b[places]),
        where=_unravel(place // per, tuple(first.shape)),
        first=_write(a[place]),
        second=_write(b[place]),
    )


def _flatten(tensor: Tensor) -> Tensor:
    """Return the elements in a row, in logical order; complex numbers as pairs."""
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).reshape(-1)


def _count_ulps(a: Tensor, b: Tensor) -> Optional[float]:
    if bool((a.isnan() | b.isnan()).any()):
        return None
    kind = SIGNED[a.element_size()]
    lowest = torch.iinfo(kind).min

    def order(values: Tensor) -> Tensor:
        """Number the values of a type in their order: neighbours differ by one."""
        bits = values.view(kind).to(torch.int64)
        return torch.where(bits < 0, lowest - bits, bits)

    one, other = order(a), order(b)
    exact = (one - other).abs()
    rough = (one.double() - other.double()).abs()
    # Between large values of opposite signs the difference of two 64-bit numbers is too large for one.
    return float(torch.where(rough > 2.0**62, rough, exact.double()).max())


def _find_largest(a: Tensor, b: Tensor) -> Optional[float]:
    one, other = a.double(), b.double()
    finite = one.isfinite() & other.isfinite()
    return float((one - other).abs()[finite].max()) if bool(finite.any()) else None


def _write(value: Tensor) -> str:
    """Return a number with as many digits as tell it from its neighbours."""
    if not value.is_floating_point():
        return str(value.item())
    digits = {torch.float64: 17, torch.float32: 9}.get(value.dtype, 5)
    return f"{value.item():.{digits}g}"


def _unravel(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    index: list[int] = []
    for size in reversed(shape):
        index.append(place % size)
        place //= size
    return tuple(reversed(index))
