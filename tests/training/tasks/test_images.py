"""What a task of images adds up."""

from __future__ import annotations

import torch

from engine.training.tasks.images import add_up


def test_losses_are_added_up_one_after_the_other() -> None:
    generator = torch.Generator().manual_seed(1)
    losses = list((3 * torch.rand(1000, generator=generator)).unbind())
    sizes = [100] * 999 + [37]
    total = torch.zeros(())
    for loss, size in zip(losses, sizes, strict=True):
        total += loss * size
    assert torch.equal(add_up(losses, sizes), total)
    assert not torch.equal(torch.stack(losses).mul(torch.tensor(sizes)).sum(), total), "another order rounds otherwise"
