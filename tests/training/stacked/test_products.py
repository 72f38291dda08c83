"""Products of stacked matrices: the bits of each by itself, wherever it lies in memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.training.random.seeding import use_one_thread
from engine.training.stacked.products import LINE_BYTES, multiply_each


def lay_out(values: Tensor, how: str) -> Tensor:
    """Return the same matrices, laid out in memory as is asked for."""
    if how == "dense":
        return values.clone()
    if how == "turned":
        return values.mT.contiguous().mT
    if how == "off a line":
        room = torch.empty(values.numel() + 1)
        return room[1:].view(values.shape).copy_(values)
    if how == "gaps":
        return torch.empty(*values.shape[:2], values.shape[2] + 3)[..., : values.shape[2]].copy_(values)
    return values.transpose(0, 1).contiguous().transpose(0, 1)  # replicas side by side


@pytest.mark.parametrize("one", ["dense", "turned", "off a line", "gaps", "side by side"])
@pytest.mark.parametrize("other", ["dense", "turned", "off a line", "gaps", "side by side"])
def test_each_product_is_that_of_its_matrices_alone(one: str, other: str) -> None:
    use_one_thread()
    generator = torch.Generator().manual_seed(1)
    a, b = torch.randn(3, 25, 13, generator=generator), torch.randn(3, 13, 7, generator=generator)
    products = multiply_each(lay_out(a, one), lay_out(b, other))
    for slot in range(3):
        single = multiply_each(lay_out(a[slot : slot + 1], one), lay_out(b[slot : slot + 1], other))[0]
        assert torch.equal(products[slot], single)
        assert torch.allclose(single, a[slot] @ b[slot], atol=1e-5)
        assert products[slot].is_contiguous()
        assert products[slot].data_ptr() % LINE_BYTES == 0
