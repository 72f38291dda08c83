"""Opens safetensors files that may come from others: their header is compared with their size before more is read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

import msgspec

from engine.decoding import decode_json
from engine.study.opening import RefusedFileError, open_regular, read_exactly, refuse_size
from engine.study.records import JSON_FAULTS

MAX_HEADER_BYTES = 20_000_000
"""Larger headers are refused; one of 100,000 tensors is smaller."""

LENGTH_BYTES = 8
"""The header's length stands in the first bytes of the file, the lowest first."""


class _Tensor(msgspec.Struct):
    """Holds what a header says of one tensor; "__metadata__" has no place."""

    data_offsets: tuple[int, int] = (0, 0)
    """Behind the header."""


@contextlib.contextmanager
def open_tensors(path: Path, max_bytes: int) -> Generator[tuple[int, int]]:
    """Open a safetensors file, and close it at the end.

    Returns:
        Its descriptor and its size.

    Raises:
        OSError: If it is not there, cannot be read, or is refused.
    """
    with open_regular(path) as (descriptor, status):
        refuse_size(path, status.st_size, max_bytes)
        length = int.from_bytes(read_exactly(descriptor, LENGTH_BYTES), "little")
        if not 2 <= length <= min(MAX_HEADER_BYTES, status.st_size - LENGTH_BYTES):
            raise RefusedFileError(path, "it has no header of a safetensors file")
        try:
            tensors = decode_json(read_exactly(descriptor, length), dict[str, _Tensor])
        except JSON_FAULTS as error:
            raise RefusedFileError(path, f"its header is damaged: {error}") from error
        end = LENGTH_BYTES + length + max((tensor.data_offsets[1] for tensor in tensors.values()), default=0)
        if end != status.st_size:
            raise RefusedFileError(path, f"it has {status.st_size:,} bytes, and its header asks for {end:,}")
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor, status.st_size


def read_tensors(path: Path, max_bytes: int) -> bytes:
    """Read all of a safetensors file.

    Raises:
        OSError: If it is not there, cannot be read, or is refused.
    """
    with open_tensors(path, max_bytes) as (descriptor, size):
        return read_exactly(descriptor, size)
