"""Weights and predictions as bytes: equal values give equal bytes, so that a file's digest speaks for them."""

from __future__ import annotations

import io

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from engine.errors import StudyError
from engine.study.paths import MODEL_MAX_BYTES, RunPaths
from engine.study.run_records import ResultRecord, compare_digest, note_damage
from engine.study.tensor_files import read_tensors


def weights_bytes(state: dict[str, Tensor]) -> bytes:
    """Return the state as a model.safetensors, tensors in the order that the format gives them."""
    return save(separate(state))


def separate(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors on the CPU that share no memory, as safetensors wants them: tied weights have several names."""
    found: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        place = own.untyped_storage().data_ptr()
        found[name] = own.clone() if place in places else own
        places.add(place)
    return found


def array_bytes(array: np.ndarray) -> bytes:
    """Return the array as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def read_weights(run: RunPaths, result: ResultRecord) -> dict[str, Tensor]:
    """Read a finished run's weights; ones that are not what was written are noted beside the run.

    Args:
        run: The run.
        result: Its result.json, which holds the digest.

    Raises:
        StudyError: If they are missing, do not match their digest or cannot be read.
    """
    try:
        content = read_tensors(run.model, MODEL_MAX_BYTES)
    except OSError as error:
        raise StudyError(f"{run.model}: cannot be read ({error.strerror})") from error
    fault = compare_digest(run.model.name, content, result.weights_sha256 or "")
    if fault is not None:
        note_damage(run, result, fault)
        raise StudyError(f"{run.model}: {fault}: run the same protocol again to train this run once more")
    try:
        return load(content)
    except SafetensorError as error:
        raise StudyError(f"{run.model}: cannot be read ({error})") from error
