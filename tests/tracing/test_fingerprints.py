"""Fingerprints are the stated sum, see every bit and every place, and do not depend on how memory is laid out."""

from __future__ import annotations

import struct

import pytest
import torch
from torch import Tensor

from engine.tracing import fingerprints
from engine.tracing.fingerprints import BLOCK, make_weights, settle, take

WRAP = 1 << 64
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
TYPES = (
    *FLOATS,
    torch.complex64,
    torch.complex128,
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
)


def sum_by_hand(integers: list[int]) -> int:
    """The definition, in Python's unlimited integers."""
    weights = make_weights().tolist()
    sums = [
        sum(x * w for x, w in zip(integers[k : k + BLOCK], weights, strict=False)) % WRAP
        for k in range(0, len(integers), BLOCK)
    ]
    signed = [one - WRAP if one >> 63 else one for one in sums]
    if len(signed) <= 1:
        return signed[0]
    halves = struct.unpack(f"<{2 * len(signed)}i", struct.pack(f"<{len(signed)}q", *signed))
    return sum_by_hand(list(halves))


def make(dtype: torch.dtype, *shape: int) -> Tensor:
    raw = torch.randn(*shape, 2, generator=torch.Generator().manual_seed(0)) * 50
    return torch.view_as_complex(raw).to(dtype) if dtype.is_complex else raw[..., 0].to(dtype)


@pytest.mark.parametrize("count", [1, 7, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_fingerprint_is_the_sum_that_is_stated(count: int) -> None:
    values = make(torch.float32, count)
    assert take(values) == sum_by_hand(values.view(torch.int32).tolist())
    flat = values.view(torch.int32)
    assert settle([fingerprints._sum_on_device(flat)]) == [take(values)], "a device has the same number"


def test_weights_are_odd_and_all_different() -> None:
    weights = make_weights().tolist()
    assert all(weight % 2 for weight in weights)
    assert len(set(weights)) == BLOCK


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_one_bit_and_the_order_change_it(dtype: torch.dtype) -> None:
    values = make(dtype, 40)
    bits = values.clone().view(torch.int8)
    bits[17] ^= 1
    assert take(values.clone()) == take(values)
    assert take(bits.view(dtype)) != take(values)
    values = values.new_tensor([0, 1, 0, 0, 1, 1])
    assert take(values.flip(0)) != take(values)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64], ids=str)
@pytest.mark.parametrize("apart", [1, 2048, BLOCK // 2, BLOCK])
def test_two_round_values_that_change_places_change_it(dtype: torch.dtype, apart: int) -> None:
    values = torch.zeros(2 * BLOCK, dtype=dtype)
    values[0], values[apart] = 1 << 52, 1 << 53
    swapped = values.clone()
    swapped[0], swapped[apart] = values[apart], values[0]
    assert take(values) != take(swapped)


def test_payloads_of_nan_and_signs_of_zero_count() -> None:
    quiet = torch.tensor([0x7FC00000, 0x7FC00001], dtype=torch.int32).view(torch.float32)
    assert take(quiet[:1]) != take(quiet[1:])
    assert take(torch.tensor([0.0])) != take(torch.tensor([-0.0]))
    assert take(torch.tensor([True])) != take(torch.tensor([False]))


def test_layout_and_conjugation_are_seen_through() -> None:
    values = make(torch.float32, 6, 4, 5)
    part = make(torch.float32, 6, 9)[:, 2:7]
    assert take(part) == take(part.clone(memory_format=torch.contiguous_format))
    assert take(values[::2]) == take(values[::2].contiguous())
    assert take(values[:1].expand(8, 4, 5)) == take(values[:1]), "broadcast elements are read once"
    turned = make(torch.complex64, 5)
    assert take(turned.conj()) == take(turned.conj().resolve_conj()) != take(turned)
    assert take(torch.empty(0)) == 0
    assert take(torch.tensor(2.5)) == take(torch.tensor([2.5]))


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning", "ignore:.*quantize_per_tensor:UserWarning")
def test_sparse_and_quantised_tensors_have_one() -> None:
    dense = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    sparse = [dense.to_sparse(), dense.to_sparse_csr(), dense.to_sparse_csc()]
    other = torch.tensor([[0.0, 1.0], [3.0, 0.0]])
    for one, changed in zip(sparse, [other.to_sparse(), other.to_sparse_csr(), other.to_sparse_csc()], strict=True):
        assert take(one) == take(one.clone()) != take(changed)
    whole = torch.quantize_per_tensor(dense, 0.5, 0, torch.qint8)
    assert take(whole) == take(whole.clone()) != take(torch.quantize_per_tensor(2 * dense, 1.0, 0, torch.qint8))
    assert take(torch.empty(3, device="meta")) is None
