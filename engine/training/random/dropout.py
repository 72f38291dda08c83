"""Dropout layers whose masks belong to examples: a function of seed, epoch, example, layer and unit.

So another order of the data, or another order inside the batch, leaves each example its mask; PyTorch's own
dropout draws from one stream in the order of the batch. What else a network draws is keyed by `draws.KeyedDraws`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.training.random.draws import MaskContext
from engine.training.random.seeding import HASH_RANGE, hash_units

ELEMENTWISE = (nn.Dropout,)
CHANNELWISE = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class KeyedDropout(nn.Module):
    """Replaces a dropout layer of PyTorch by one whose masks are keyed by example."""

    def __init__(self, p: float, layer: int, *, channelwise: bool, context: MaskContext) -> None:
        """Drop each unit, or each channel as a whole, with probability p."""
        super().__init__()
        self.p, self.layer, self.channelwise, self.context = p, layer, channelwise, context

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of x, which has any shape with the batch first; the mean over masks is x."""
        if not self.training or self.p == 0.0:
            return x
        if self.p >= 1.0:
            return torch.zeros_like(x)
        keys, examples = self.context.keys, self.context.examples
        if keys is None or examples is None or len(examples) != len(x):
            raise RuntimeError(f"dropout met {len(x)} rows in a batch of another size; the batch must come first")
        shape = torch.Size((*x.shape[:2], *[1] * (x.dim() - 2))) if self.channelwise else x.shape
        count = shape[1:].numel()
        units = hash_units(keys[self.layer], examples, count)
        keep = units >= round(self.p * HASH_RANGE)
        return x * keep.view(shape) / (1.0 - self.p)


def key_dropout(model: nn.Module, context: MaskContext) -> int:
    """Replace every dropout layer of a model, in the order of their definition.

    Returns:
        How many there were.
    """
    count = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ELEMENTWISE + CHANNELWISE):
                keyed = KeyedDropout(child.p, count, channelwise=isinstance(child, CHANNELWISE), context=context)
                setattr(parent, name, keyed.train(child.training))
                count += 1
    return count
