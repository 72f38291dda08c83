"""Random operations of torch inside a network's forward pass, keyed by example instead of by place in the batch.

torch draws from one stream in the order of the batch, so another order gives each example other draws. While this
mode holds, operations that draw from torch's own generators take their numbers from a context; see `context`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from engine.training.random.context import Draw, MaskContext, Place
from engine.training.random.operations import KEYED, WITH_DRAWS_INSIDE, make_own

MADE = frozenset(
    [torch.empty, torch.zeros, torch.ones, torch.full]
    + [getattr(Tensor, name) for name in ("new_empty", "new_zeros", "new_ones", "new_full")]
)
"""Operations whose results are often filled with random numbers in place."""


class KeyedDraws(TorchFunctionMode):
    """Lets torch's random operations draw from a context; what has a generator of its own is left alone."""

    def __init__(self, context: MaskContext) -> None:
        """Draw from a context, which is begun before each forward pass."""
        super().__init__()
        self.context = context

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute one operation of torch's."""
        named = kwargs or {}
        if func in WITH_DRAWS_INSIDE:
            with self:  # the mode does not hold in here by itself
                return WITH_DRAWS_INSIDE[func](*args, **named)
        keyed = KEYED.get(func)
        if keyed is not None and named.get("generator") is None:
            return keyed(self.context, func, *args, **named)
        result = func(*args, **named)
        return make_own(result, self.context) if func in MADE else result


def learn_places(
    model: nn.Module, context: MaskContext, example: Tensor, layers: int
) -> tuple[Place | None, ...] | None:
    """Find out where each draw of a forward pass has the examples of the batch.

    Two batches of different sizes tell, whose shapes differ there: a weight matrix may have as many rows as a batch has
    examples. The model is left as it is.

    Args:
        model: A network on the CPU whose dropout layers draw from the context.
        context: Left as it was.
        example: Two examples, (2, …).
        layers: Its dropout layers.

    Returns:
        Empty where nothing is drawn; None where that cannot be found out.
    """
    logs: list[list[Draw]] = []
    try:
        for size in (2, 3):
            context.log = []
            context.keys = torch.zeros(layers, dtype=torch.int64)
            context.begin(torch.arange(size), torch.zeros(2, dtype=torch.int64))
            tried = copy.deepcopy(model, memo={id(context): context}).train()
            with torch.no_grad(), KeyedDraws(context):
                tried(torch.cat([example, example])[:size])
            logs.append(context.log)
    except Exception:  # a user's model may raise anything in training mode, and says so when it is trained
        return None
    finally:
        context.log = context.keys = None
        context.begin(None, None)
    two, three = logs
    if [draw.name for draw in two] != [draw.name for draw in three]:
        return None
    return tuple(_compare(one.shape, other.shape) for one, other in zip(two, three, strict=True))


def _compare(two: Sequence[int], three: Sequence[int]) -> Place | None:
    """Return the first axis that grows from batches of two to batches of three as the batch does."""
    if len(two) != len(three):
        return None
    for axis, (small, large) in enumerate(zip(two, three, strict=True)):
        if small > 0 and small % 2 == 0 and small // 2 * 3 == large:
            return Place(axis, small // 2)
    return None
