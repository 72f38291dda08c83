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
    for one, other, product in zip(a.unbind(), b.unbind(), products.unbind(), strict=True):
        torch.mm(_align(one), _align(other), out=product)
    return products


def make_room(replicas: int, rows: int, columns: int, *, like: Tensor) -> Tensor:
    """Return new memory for matrices (K, N, M), each of which begins with a cache line."""
    size = rows * columns
    room = -(-size // LINE_NUMBERS) * LINE_NUMBERS
    return like.new_empty(replicas, room)[:, :size].view(replicas, rows, columns)


def _align(matrix: Tensor) -> Tensor:
    """Return a matrix without gaps that begins with a cache line: itself, where it is one."""
    rows, columns = matrix.shape
    dense = matrix.stride() in ((columns, 1), (1, rows))
    return matrix if dense and matrix.data_ptr() % LINE_BYTES == 0 else matrix.clone()
