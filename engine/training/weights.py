"""Weights and predictions as bytes: equal values give equal bytes, so that a file's digest speaks for them."""

from __future__ import annotations

import io

import numpy as np
from safetensors.torch import save
from torch import Tensor


def weights_bytes(state: dict[str, Tensor]) -> bytes:
    """A model.safetensors of the state, tensors in the order that the format gives them."""
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})


def array_bytes(array: np.ndarray) -> bytes:
    """A .npy file of the array."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
