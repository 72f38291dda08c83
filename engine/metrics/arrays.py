"""Reads .npy files that may come from others: what the header says is compared with the file before anything is read.

Pickles and archives are refused, and so is a header that asks for more or less than the file holds.
"""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass

import numpy as np

from engine.study.opening import read_exactly

HEADER_BYTES = 12_000
"""More than the header of any file of a study has."""

SHORTENED = "became shorter while it was read"

HEADER_FAULTS = (ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError, OverflowError)
"""What numpy raises for a header that is none; it parses a text in it as a Python literal."""


@dataclass(frozen=True)
class ArrayHeader:
    """Holds what the header of a .npy file says of the values behind it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    columns_first: bool
    """Whether the values are in Fortran's order."""
    offset: int
    """Bytes before the first value."""

    def read_values(self, content: bytes) -> np.ndarray:
        """Return the array in all the bytes of the file, which it shares."""
        values = np.frombuffer(content, self.dtype, math.prod(self.shape), self.offset)
        return values.reshape(self.shape, order="F" if self.columns_first else "C")


def read_header(descriptor: int, size: int) -> ArrayHeader:
    """Read the header of an open .npy file, and compare it with the file's size.

    Raises:
        ValueError: If it is none, or the values behind it are not those that it says.
    """
    os.lseek(descriptor, 0, os.SEEK_SET)
    stream = io.BytesIO(read_exactly(descriptor, min(size, HEADER_BYTES)))
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        reader = readers[np.lib.format.read_magic(stream)]
        shape, columns_first, dtype = reader(stream)
    except KeyError as error:
        raise ValueError(f"is no .npy file of version 1 or 2, but {error.args[0]}") from error
    except HEADER_FAULTS as error:
        raise ValueError(f"has no header of a .npy file: {' '.join(str(error).split())[:200]}") from error
    if dtype.hasobject:
        raise ValueError("holds Python objects, which are never loaded")
    expected = stream.tell() + math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or not dtype.itemsize or expected != size:
        raise ValueError(f"has {size:,} bytes, and its header asks for {expected:,}")
    return ArrayHeader(tuple(shape), dtype, columns_first, stream.tell())


def read_rows(descriptor: int, header: ArrayHeader, size: int, rows: slice) -> np.ndarray:
    """Read a slice of the rows of an open .npy file; where these do not stand one after the other, all of it.

    Raises:
        ValueError: If the file became shorter while it was read.
    """
    start, stop, _ = rows.indices(header.shape[0])
    if header.columns_first or (start, stop) == (0, header.shape[0]):
        return header.read_values(read_content(descriptor, size))[rows]
    width = math.prod(header.shape[1:]) * header.dtype.itemsize
    os.lseek(descriptor, header.offset + start * width, os.SEEK_SET)
    content = read_exactly(descriptor, max(0, stop - start) * width)
    if len(content) < (stop - start) * width:
        raise ValueError(SHORTENED)
    return np.frombuffer(content, header.dtype).reshape(-1, *header.shape[1:])


def read_content(descriptor: int, size: int) -> bytes:
    """Read all bytes of an open file.

    Raises:
        ValueError: If there are fewer than its size was.
    """
    os.lseek(descriptor, 0, os.SEEK_SET)
    content = read_exactly(descriptor, size)
    if len(content) < size:
        raise ValueError(SHORTENED)
    return content
