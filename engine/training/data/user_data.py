"""Loads the data that a user's function returns, and checks all of it before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.errors import DataError
from engine.training.user_functions import call_target, import_target

REQUIRED = ("train_inputs", "train_labels", "test_inputs", "test_labels")
OPTIONAL = ("classes", "mean", "std")


@dataclass(frozen=True)
class UserData:
    """The checked parts of a user's data set."""

    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    classes: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None


def load_user_data(target: str, *, root: Path, search_path: tuple[Path, ...]) -> UserData:
    """Call a user's data function and check what it returns.

    Raises:
        DataError: Naming the target, the part and what was expected of it.
    """
    function = import_target(target, search_path=search_path, error=DataError)
    returned = call_target(function, target, DataError, root=root)
    if not isinstance(returned, Mapping):
        raise DataError(
            f"{target}: returned {type(returned).__name__}, it must return a mapping with {', '.join(REQUIRED)}"
        )
    missing = [name for name in REQUIRED if name not in returned]
    unknown = [str(name) for name in returned if name not in REQUIRED + OPTIONAL]
    if missing or unknown:
        raise DataError(
            f"{target}: returned keys {', '.join(map(str, returned)) or '(none)'}; it must return "
            f"{', '.join(REQUIRED)} and may return {', '.join(OPTIONAL)}"
        )
    train, test = (_check_part(target, part, returned) for part in ("train", "test"))
    if train[0].shape[1:] != test[0].shape[1:]:
        shapes = f"{tuple(train[0].shape[1:])} and {tuple(test[0].shape[1:])}"
        raise DataError(f"{target}: train_inputs and test_inputs hold examples of different shapes: {shapes}")
    kinds = [part[0].dtype for part in (train, test)]
    if kinds[0] != kinds[1]:
        raise DataError(
            f"{target}: train_inputs is {kinds[0]} and test_inputs {kinds[1]}, they must be of one kind: bytes are "
            "divided by 255, floats are used as they are"
        )
    classes = _check_classes(target, returned.get("classes"), train[1], test[1])
    channels = train[0].shape[1]
    mean, std = (_check_statistic(target, name, returned.get(name), channels) for name in ("mean", "std"))
    if (mean is None) != (std is None):
        raise DataError(f"{target}: mean and std belong together; return both or none")
    if mean is not None and kinds[0] != torch.uint8:
        raise DataError(
            f"{target}: mean and std are of bytes; floats are used as they are: scale them, and leave both out"
        )
    return UserData(*train, *test, classes=classes, mean=mean, std=std)


def _check_part(target: str, part: str, returned: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    inputs = _as_tensor(target, f"{part}_inputs", returned[f"{part}_inputs"])
    labels = _as_tensor(target, f"{part}_labels", returned[f"{part}_labels"])
    if inputs.dim() < 2 or len(inputs) == 0:
        raise DataError(f"{target}: {part}_inputs has shape {tuple(inputs.shape)}, it must be (N, …) with N > 0")
    if labels.shape != (len(inputs),):
        shapes = f"{tuple(labels.shape)} for inputs of shape {tuple(inputs.shape)}"
        raise DataError(f"{target}: {part}_labels has shape {shapes}, it must be ({len(inputs)},)")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise DataError(f"{target}: {part}_labels is {labels.dtype}, it must hold whole numbers 0…classes−1")
    if inputs.dtype != torch.uint8:
        if not inputs.is_floating_point():
            raise DataError(f"{target}: {part}_inputs is {inputs.dtype}, it must be float or uint8")
        inputs = inputs.float()
        if not bool(torch.isfinite(inputs).all()):
            raise DataError(f"{target}: {part}_inputs holds values that are not finite; all must be")
    return inputs.contiguous(), labels.to(torch.int64).contiguous()


def _as_tensor(target: str, name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(np.ascontiguousarray(value))
    found = f"array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
    raise DataError(f"{target}: {name} is {found}, it must be a numpy array of numbers or a torch tensor")


def _check_classes(target: str, classes: Any, *labels: Tensor) -> int:
    lowest, highest = min(int(part.min()) for part in labels), max(int(part.max()) for part in labels)
    number = highest + 1 if classes is None else classes
    if not isinstance(number, int) or isinstance(number, bool) or number < 2:
        raise DataError(f"{target}: classes = {number!r}, it must be a whole number of 2 or more")
    if lowest < 0 or highest >= number:
        raise DataError(f"{target}: labels lie in {lowest}…{highest}, they must lie in 0…{number - 1}")
    return number


def _check_statistic(target: str, name: str, value: Any, channels: int) -> tuple[float, ...] | None:
    if value is None:
        return None
    try:
        numbers = tuple(float(number) for number in value)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != channels or not np.isfinite(numbers).all() or (name == "std" and min(numbers) <= 0):
        raise DataError(f"{target}: {name} = {value!r}, it must be {channels} finite numbers, one per channel")
    return numbers
