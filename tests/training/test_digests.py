"""Digests of weights: against plain Python, blind to layout and company, alive to every bit and every place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from engine.recipe import PackRecipe, Recipe
from engine.training import digests
from engine.training.data.datasets import Dataset
from engine.training.digests import digest_model, digest_rows, digest_stacked, read_bits
from engine.training.tasks.preparation import prepare


def digest_plainly(numbers: np.ndarray, factors: list[list[int]]) -> int:
    """The formula of the module, in Python's own integers."""
    of_places, of_parts, _ = factors
    total = 0
    for part, start in enumerate(range(0, numbers.size, len(of_places))):
        bits = numbers[start : start + len(of_places)].view(f"i{numbers.itemsize}").tolist()
        total += sum(a * b for a, b in zip(bits, of_places, strict=False)) * of_parts[part]
    return (total + 2**63) % 2**64 - 2**63


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.float16])
def test_digest_is_the_formulas(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    factors = digests._draw_factors(torch.device("cpu"), 8)
    monkeypatch.setattr(digests, "PLACES", 8)
    numbers = np.random.default_rng(0).integers(-1000, 1000, 21).astype(dtype)
    found = digest_rows(read_bits(torch.from_numpy(numbers)[None]))
    assert found.tolist() == [digest_plainly(numbers, factors.tolist())]


def test_every_bit_and_every_place_counts() -> None:
    """Each change of one bit, and each exchange of two numbers, gives a digest of its own."""
    weights = torch.randn(40, generator=torch.Generator().manual_seed(1))
    changed = [weights]
    for place in range(40):
        for bit in (0, 1, 22, 31):
            other = weights.clone()
            other.view(torch.int32)[place] ^= torch.tensor(1 << bit, dtype=torch.int64).to(torch.int32)
            changed.append(other)
        for further in range(place):
            other = weights.clone()
            other[[place, further]] = other[[further, place]]
            changed.append(other)
    found = digest_rows(read_bits(torch.stack(changed))).tolist()
    assert len(set(found)) == len(changed)


def test_layout_and_company_make_no_difference() -> None:
    kernels = torch.randn(3, 4, 5, 2, 2)
    last = kernels.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (3, 4))
    assert last.stride() != kernels.stride()
    stacked = {"kernels": kernels, "count": torch.tensor([1, 2, 3])}
    found = digest_stacked(stacked)
    assert found == digest_stacked({**stacked, "kernels": last})
    alone = [digest_stacked({name: tensor[k, None] for name, tensor in stacked.items()}) for k in range(3)]
    assert [one[0] for one in alone] == found
    assert all(len(one) == 16 for one in found)


def test_exchange_of_numbers_of_two_tensors_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where tensors are digested side by side, in parts, and of several types."""
    monkeypatch.setattr(digests, "PLACES", 4)
    tensors = {"a": torch.arange(3.0)[None], "b": torch.arange(9.0)[None], "n": torch.arange(2)[None]}
    found = {digest_stacked(tensors)[0]}
    for name, place in [("a", 2), ("b", 0), ("b", 7)]:
        for other, further in [("b", 4), ("b", 8), ("a", 0)]:
            changed = {key: value.clone() for key, value in tensors.items()}
            changed[name][0, place], changed[other][0, further] = tensors[other][0, further], tensors[name][0, place]
            found.add(digest_stacked(changed)[0])
    assert len(found) == 9, "a[2] and b[…], and so on: eight exchanges of unlike numbers, and the original"


def test_buffers_count() -> None:
    model = nn.BatchNorm1d(3)
    before = digest_model(model)
    next(model.buffers()).add_(1)
    assert digest_model(model) != before


def test_pack_has_the_digests_of_its_networks(base: Recipe, data: Dataset) -> None:
    recipes = [replace(base, seeds=replace(base.seeds, init=k)) for k in (1, 2)]
    alone = [prepare([recipe], data, device=torch.device("cpu")).digests()[0] for recipe in recipes]
    pack = PackRecipe(size=3, shared_batch=True, channels_last=True)
    packed = prepare([replace(r, pack=pack) for r in recipes], data, device=torch.device("cpu")).digests()
    assert packed == [*alone, alone[1]]
    assert alone[0] != alone[1]
