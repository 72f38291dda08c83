"""Remembers fingerprints of memory that has not changed since, and which memory nothing was written into yet."""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from . import fingerprints
from .fingerprints import PLAIN, Fingerprint


class Memory:
    """Takes fingerprints, each once as long as the memory stays as it is.

    A storage is known by its address, and a weak reference keeps that address from being given to another one.
    """

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.unread = 0
        """How often a tensor could not be read."""
        self._known: dict[int, tuple[Any, dict[Any, tuple[int, Optional[Fingerprint]]]]] = {}
        self._blank: dict[int, tuple[Any, int]] = {}

    def take(self, tensor: Tensor) -> Optional[Fingerprint]:
        """Return a tensor's fingerprint; None where it is not known, or is memory that nothing was written into."""
        plain = fingerprints.strip(tensor)
        if plain is None:
            return self._read(tensor) if hasattr(tensor, "__tensor_flatten__") else None
        tensor = plain
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_nested:
            return self._read(tensor)
        storage = tensor.untyped_storage()
        address = storage._cdata
        if address in self._blank:
            return None
        try:
            version = tensor._version
        except RuntimeError:  # a tensor of inference has none
            return self._read(tensor)
        entry = self._known.get(address)
        if entry is None:
            entry = self._known[address] = (StorageWeakRef(storage), {})
        key = (tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype, tensor.is_conj(), tensor.is_neg())
        known = entry[1].get(key)
        if known is not None and known[0] == version:
            return known[1]
        found = self._read(tensor)
        entry[1][key] = (version, found)
        return found

    def _read(self, tensor: Tensor) -> Optional[Fingerprint]:
        """Return the fingerprint of a tensor as it is now; what cannot be read is counted."""
        found = fingerprints.read(tensor, self.take)
        self.unread += found is None and type(tensor) in PLAIN and tensor.device.type != "meta"
        return found

    def forget(self) -> None:
        """Forget all fingerprints: what torch does not see, such as numpy or a kernel of one's own, may write."""
        self._known.clear()

    def write(self, tensor: Tensor) -> None:
        """Learn that an operation has written a tensor."""
        storage = _find_storage(tensor)
        if storage is None:
            return
        self._known.pop(storage._cdata, None)
        blank = self._blank.get(storage._cdata)
        if blank is not None:
            left = blank[1] - tensor.numel() * tensor.element_size()
            if left > 0:
                self._blank[storage._cdata] = (blank[0], left)
            else:
                del self._blank[storage._cdata]

    def blank(self, tensor: Tensor) -> None:
        """Learn that a tensor is memory as it was found."""
        storage = _find_storage(tensor)
        if storage is not None and storage.nbytes():
            self._known.pop(storage._cdata, None)
            self._blank[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())


def _find_storage(tensor: Tensor) -> Any:
    plain = fingerprints.strip(tensor)
    return None if plain is None or plain.layout is not torch.strided else plain.untyped_storage()
