"""Moving one weight: by units in the last place, and by a share of its value."""

from __future__ import annotations

import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from engine.errors import PerturbationError
from engine.recipe import BitChange
from engine.training.random.bit_change import move_bit, step

numbers = st.floats(-(2.0**99), 2.0**99, width=32)


@given(value=numbers, ulps=st.integers(1, 20), upwards=st.booleans())
def test_a_step_of_many_units_is_many_steps_of_one(value: float, ulps: int, upwards: bool) -> None:
    expected = torch.tensor(value)
    for _ in range(ulps):
        expected = torch.nextafter(expected, torch.tensor(math.inf if upwards else -math.inf))
    assert float(step(torch.tensor(value), ulps, upwards=upwards)) == float(expected)


@pytest.mark.parametrize("share", [1e-6, 1e-3, 0.5])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_share_moves_a_weight_by_that_part_of_its_value(seed: int, share: float) -> None:
    model = nn.Linear(7, 5)
    before = model.weight.detach().clone()
    bit = move_bit(model, BitChange(seed=seed, share=share))
    moved = (model.weight.detach() != before).flatten().nonzero().flatten().tolist()
    assert moved == [bit.index]
    assert bit.old == float(before.flatten()[bit.index])
    assert bit.change == abs(bit.new - bit.old) == pytest.approx(share * abs(bit.old), rel=0.1)
    places = [struct.unpack(">i", struct.pack(">f", number))[0] & 0x7FFFFFFF for number in (bit.old, bit.new)]
    assert abs(bit.ulps) == abs(places[1] - places[0])
    assert (bit.ulps > 0) == (bit.new > bit.old)


def test_a_share_that_is_lost_in_rounding_is_refused() -> None:
    with pytest.raises(PerturbationError, match="a share of 1e-09 has no effect"):
        move_bit(nn.Linear(3, 3), BitChange(seed=1, share=1e-9))
