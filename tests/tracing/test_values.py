"""Differences are counted in units of the last place, as the standard library steps from one float to the next."""

from __future__ import annotations

import math

import pytest
import torch

from engine.tracing.values import measure


@pytest.mark.parametrize("start", [1.0, -1.0, 0.0, 5e-324, 1e300, -2.5])
@pytest.mark.parametrize("steps", [1, 3, 1000])
def test_ulps_are_steps_to_the_next_float(start: float, steps: int) -> None:
    other = start
    for _ in range(steps):
        other = math.nextafter(other, math.inf)
    found = measure(torch.tensor([start], dtype=torch.float64), torch.tensor([other], dtype=torch.float64))
    assert found is not None
    assert (found.ulps, found.differing, found.absolute) == (steps, 1, other - start)
    assert (float(found.first), float(found.second)) == (start, other)


@pytest.mark.parametrize(("dtype", "ulps"), [(torch.float32, 2**23), (torch.float16, 2**10), (torch.bfloat16, 2**7)])
def test_an_octave_has_as_many_steps_as_the_mantissa(dtype: torch.dtype, ulps: int) -> None:
    found = measure(torch.ones(2, 3, dtype=dtype), torch.ones(2, 3, dtype=dtype).index_fill(1, torch.tensor([2]), 2.0))
    assert found is not None
    assert (found.ulps, found.where, found.differing, found.elements) == (ulps, (0, 2), 2, 6)


def test_extremes_are_told_and_equal_bits_are_nothing() -> None:
    ends = [torch.tensor([one], dtype=torch.float64) for one in (-1.7e308, 1.7e308)]
    found = measure(*ends)
    assert found is not None
    assert found.ulps is not None
    assert found.ulps > 2.0**63
    odd = torch.tensor([math.nan, 1.0])
    assert measure(odd, odd.clone()) is None
    with_nan = measure(odd, torch.tensor([2.0, 1.0]))
    assert with_nan is not None
    assert (with_nan.ulps, with_nan.absolute, with_nan.first) == (None, None, "nan")
    integers = measure(torch.tensor([3, 4]), torch.tensor([3, 9]))
    assert integers is not None
    assert (integers.ulps, integers.absolute, integers.where, integers.second) == (None, 5.0, (1,), "9")
    turned = measure(torch.tensor([[1 + 1j, 2 + 2j]]), torch.tensor([[1 + 1j, 2 + 3j]]))
    assert turned is not None
    assert (turned.where, turned.differing) == ((0, 1), 1)
    zeros = measure(torch.tensor([0.0]), torch.tensor([-0.0]))
    assert zeros is not None
    assert (zeros.ulps, zeros.differing) == (0.0, 1)
