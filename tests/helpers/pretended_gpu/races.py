"""What two streams do with the same memory, where neither waits for the other: on a GPU either may come first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from tests.helpers.pretended_gpu.rules import RefusedError

CURRENT: list[Any] = [None]
"""Holds the stream that is current."""


@dataclass
class Use:
    """Who has used some memory since anybody waited."""

    writer: Any = None
    readers: set[Any] = field(default_factory=set)


class Races:
    """Refuses what depends on which of two streams is faster.

    Whatever waits, for whatever, is taken for a wait of everybody for everybody: some races are not seen.
    """

    def __init__(self) -> None:
        self.uses: dict[int, Use] = {}

    def forget(self) -> None:
        """Take note that somebody waited."""
        self.uses.clear()

    def use(self, what: Any, read: Iterable[Tensor], written: Iterable[Tensor], made: Iterable[Tensor]) -> None:
        """Take note of an operation on the current stream.

        Raises:
            RefusedError: If it races against one on another stream.
        """
        stream = CURRENT[0]
        for tensor in filter(_address, made):  # what is empty has no address
            self.uses[_address(tensor)] = Use(writer=stream)
        for tensor in filter(_address, written):
            use = self.uses.setdefault(_address(tensor), Use())
            if use.writer not in (None, stream) or use.readers - {stream}:
                raise RefusedError(f"two streams race: {what} writes what another one uses")
            use.writer = stream
        for tensor in filter(_address, read):
            use = self.uses.setdefault(_address(tensor), Use())
            if use.writer not in (None, stream):
                raise RefusedError(f"two streams race: {what} reads what another one writes")
            use.readers.add(stream)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
