"""Mean cross-entropies of batches and their gradients, by hand and with the bits of torch's own.

torch takes the log-softmax of short rows one after the other, 160 ns each forth and 80 ns back; with classes outermost
in memory it takes as many examples at a time as fit into a register of the processor, which is ten times as fast. Where
that gives the same bits it is done, and costs two transpositions.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MEAN, NO_LABEL = 1, -100
"""As `cross_entropy` hands them to its kernel: how losses become one, and the label that is left out."""

REGISTERS = {"AVX512": 16, "AVX2": 8}
"""float32 numbers of a register, by the kind of kernels that torch uses on this processor."""

_kernels: Any = torch
"""By torch's own names a kernel is called in 2 µs, through `torch.ops` in 7."""

TRIED = 256
"""Rows that are tried out."""


def _count_together() -> int:
    """Return how many float32 numbers torch's kernels take at once; 0 where that is not known."""
    return REGISTERS.get(torch.backends.cpu.get_cpu_capability(), 0)


@functools.cache
def is_equal_by_column(classes: int) -> bool:
    """Tell whether log-softmax and its gradient have the same bits from column to column as from row to row.

    torch adds up a row that is shorter than a register number by number, as it adds up columns, and a longer one
    otherwise. What that rests on is torch's own affair, so it is tried as well.
    """
    if classes >= _count_together():
        return False
    rows = 8 * torch.arange(1.0, 1 + TRIED * classes).sin_().view(TRIED, classes)
    slopes = torch.zeros_like(rows)
    slopes[:, 0] = -1 / TRIED
    logs, logs_by_column = _kernels._log_softmax(rows, 1, False), _kernels._log_softmax(rows.t().contiguous(), 0, False)
    back = _kernels._log_softmax_backward_data(slopes, logs, 1, rows.dtype)
    back_by_column = _kernels._log_softmax_backward_data(slopes.t().contiguous(), logs_by_column, 0, rows.dtype)
    return torch.equal(logs, logs_by_column.t()) and torch.equal(back, back_by_column.t())


@dataclass(frozen=True)
class _Room:
    """Holds memory for a batch of one shape: classes innermost, or examples where that has the same bits.

    Then there is room for whole registers of examples: torch rounds otherwise what does not fill one.
    """

    axis: int
    """That of the classes."""
    logits: Tensor
    logs: Tensor
    wanted: Tensor
    """The gradient of the mean loss by the log-softmax: zeros, but for the labels' places."""
    slope: Tensor
    given: Tensor
    """The logits' part that a batch is put into, in its shape."""
    result: Tensor
    """The same of the slope."""
    firsts: Tensor
    """Zeros, for each example."""


class CrossEntropy:
    """Computes losses and gradients; its memory is kept from batch to batch, as to ask for it anew costs more."""

    def __init__(self) -> None:
        """Begin without memory."""
        self._rooms: dict[tuple[torch.Size, bool], _Room] = {}

    def differentiate(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean losses, and the gradient of each.

        Args:
            logits: float32 (B, C), or (K, B, C) of K replicas.
            labels: 0…C−1, int64 (B,), or (K, B).

        Returns:
            Nats () or (K,), and a gradient of the logits' shape, which need not be laid out like them in memory, and is
            valid until the next batch.
        """
        by_column = is_equal_by_column(logits.shape[-1])
        loss, slope = self._differentiate(logits, labels, by_column=by_column)
        if by_column and not math.isfinite((loss.sum() if loss.dim() else loss).item()):
            return self._differentiate(logits, labels, by_column=False)  # what is no number has other bits by column
        return loss, slope

    def _differentiate(self, logits: Tensor, labels: Tensor, *, by_column: bool) -> tuple[Tensor, Tensor]:
        room = self._rooms.get((logits.shape, by_column)) or self._make_room(logits, by_column=by_column)
        room.given.copy_(logits)
        _kernels._log_softmax(room.logits, room.axis, False, out=room.logs)
        index = labels.unsqueeze(room.axis)
        if logits.dim() == 3:
            index = index.expand(len(logits), *index.shape[-2:])
        room.wanted.zero_().scatter_(room.axis, index, -1 / logits.shape[-2])
        _kernels._log_softmax_backward_data(room.wanted, room.logs, room.axis, logits.dtype, out=room.slope)
        return _average(room.logs.gather(room.axis, index).squeeze(room.axis), room.firsts), room.result

    def _make_room(self, logits: Tensor, *, by_column: bool) -> _Room:
        *replicas, examples, classes = logits.shape
        together = _count_together()
        shape = (classes, -(-examples // together) * together) if by_column else (examples, classes)
        first, logs, wanted, last = (logits.new_zeros(*replicas, *shape) for _ in range(4))
        given, result = (one[..., :examples].mT if by_column else one for one in (first, last))
        firsts = torch.zeros(examples, dtype=torch.int64)
        room = _Room(-2 if by_column else -1, first, logs, wanted, last, given, result, firsts)
        self._rooms[logits.shape, by_column] = room
        return room


def _average(logs: Tensor, firsts: Tensor) -> Tensor:
    """Return the mean losses of the log-probabilities of labels (B,) or (K, B), as `cross_entropy` adds them up."""
    if logs.dim() == 2:
        return logs.neg().mean(1)
    return _kernels._C._nn.nll_loss_nd(logs[:, None], firsts, None, MEAN, NO_LABEL)
