"""Matrix products of stacked replicas that have the same bits in every slot."""

from __future__ import annotations

import torch
from torch import Tensor

LINE_NUMBERS = 16
"""float32 numbers in a cache line."""
LINE_BYTES = 64


def multiply_each(a: Tensor, b: Tensor) -> Tensor:
    """Compute matrix products (K, N, F) by (K, F, M) that have the same bits in every slot.

    On CPUs the kernel of a product depends on the alignment of its matrices in memory. That is the same in all slots
    if the sizes are multiples of a cache line; otherwise each product gets memory that begins with one.

    Returns:
        (K, N, M); each product is contiguous, all of them together need not be.
    """
    sizes = (a[0].numel(), b[0].numel(), a.shape[1] * b.shape[2])
    if a.device.type != "cpu" or all(size % LINE_NUMBERS == 0 for size in sizes):
        return a @ b
    products = make_room(len(a), a.shape[1], b.shape[2], like=a)
    for one, other, product in zip(_align(a), _align(b), products.unbind(), strict=True):
        torch.mm(one, other, out=product)
    return products


def make_room(replicas: int, rows: int, columns: int, *, like: Tensor) -> Tensor:
    """Return new memory for matrices (K, N, M), each of which begins with a cache line."""
    size = rows * columns
    room = -(-size // LINE_NUMBERS) * LINE_NUMBERS
    return like.new_empty(replicas, room)[:, :size].view(replicas, rows, columns)


def _align(stack: Tensor) -> tuple[Tensor, ...]:
    """Return matrices (N, M) without gaps that begin with a cache line: those of a stack, where they are such.

    One copy of all of them takes a tenth of as many copies of one.
    """
    replicas, rows, columns = stack.shape
    strides = stack.stride()
    turned = strides[1:] == (1, rows) != (columns, 1)
    if (
        (turned or strides[1:] == (columns, 1))
        and strides[0] % LINE_NUMBERS == 0
        and stack.data_ptr() % LINE_BYTES == 0
    ):
        return stack.unbind()
    if turned:
        return make_room(replicas, columns, rows, like=stack).mT.copy_(stack).unbind()
    return make_room(replicas, rows, columns, like=stack).copy_(stack).unbind()
