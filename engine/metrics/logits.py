"""The logits of some replicas: an array, in memory or mapped, or files of which a block is read at a time.

Measures go through blocks of examples of all replicas, or through one replica, and hold no more than they need of it.

Shapes: R replicas, N examples, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

HELD_BYTES = 2**28
"""Logits of no more bytes are held in memory as a whole."""

BLOCK_VALUES = 2**21
"""Logits of all replicas that are looked at in one step, where nothing else decides."""

WHOLE = slice(None)


FEW_CLASSES = 32
"""Of no more classes, the largest is found faster class by class."""


def find_largest(values: np.ndarray) -> np.ndarray:
    """Return the largest of the last axis of float (…, C)."""
    if values.shape[-1] > FEW_CLASSES:
        return values.max(axis=-1)
    largest = values[..., 0].copy()
    for label in range(1, values.shape[-1]):
        np.maximum(largest, values[..., label], out=largest)
    return largest


@dataclass(frozen=True)
class Logits:
    """The logits of some classifying networks, −inf for masked classes."""

    shape: tuple[int, int, int]
    """(R, N, C)."""
    dtype: np.dtype
    """float32 or float64."""
    read: Callable[[int, slice], np.ndarray]
    """Return the logits (B, C) of a replica on a slice of the examples."""
    array: np.ndarray | None = None
    """All of them, where they are in one array."""

    @classmethod
    def of_array(cls, array: np.ndarray) -> Logits:
        """Take an array of floats (R, N, C), which is not changed; other floats than float64 count as float32."""
        dtype = np.dtype(np.float64 if array.dtype == np.float64 else np.float32)
        replicas, examples, classes = array.shape
        if array.size * dtype.itemsize <= HELD_BYTES:
            array = np.ascontiguousarray(array, dtype=dtype)

        def read(replica: int, rows: slice) -> np.ndarray:
            return array[replica, rows].astype(dtype, copy=False)

        return cls((replicas, examples, classes), dtype, read, array if array.dtype == dtype else None)

    def take_block(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return the logits of all replicas on some examples, (R, B, C): a slice of them, or their numbers in order."""
        if self.array is not None:
            return self.array[:, rows]
        if isinstance(rows, slice):
            return np.stack([self.read(replica, rows) for replica in range(self.shape[0])])
        # What lies between the first and the last is read with them.
        span = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
        return np.stack([self.read(replica, span)[rows - span.start] for replica in range(self.shape[0])])

    def iterate_blocks(self, values: int | None = None) -> Iterator[slice]:
        """Yield slices of the examples on which all replicas together have about so many logits."""
        return self._iterate(self.shape[0] * self.shape[2], values)

    def iterate_parts(self, values: int | None = None) -> Iterator[slice]:
        """Yield slices of the examples on which one replica has about so many logits."""
        return self._iterate(self.shape[2], values)

    def _iterate(self, width: int, values: int | None) -> Iterator[slice]:
        size = max(1, (BLOCK_VALUES if values is None else values) // max(1, width))
        for start in range(0, self.shape[1], size):
            yield slice(start, min(start + size, self.shape[1]))

    def are_equal(self, one: int, other: int) -> bool:
        """Tell whether two replicas have the same logits."""
        return all(np.array_equal(self.read(one, rows), self.read(other, rows)) for rows in self.iterate_parts())
