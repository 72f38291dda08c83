"""Checkpoints: the state at the end of an epoch, from which going on equals never having stopped.

Weights, buffers and the optimiser's state are all there is to save: every random draw is keyed by epoch.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from engine.errors import StoreUnavailableError
from engine.study.files import write_bytes
from engine.study.paths import CHECKPOINT_MAX_BYTES
from engine.study.store_trouble import StoreTrouble
from engine.study.tensor_files import open_tensors
from engine.training.weights import separate

LOG = logging.getLogger(__name__)

FORMAT = "1"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training at the end of an epoch."""

    epoch: int
    seconds: float
    """Training time that led here."""
    model: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    """"<parameter number>.<name of the state>" → value."""
    extra: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """What a task keeps beside them: averaged weights, or the sum over the snapshot schedule's cycles."""


class CheckpointPolicy:
    """Says where checkpoints go and when one is due, and writes them."""

    def __init__(self, *, path: Path, every_s: float, recipe_id: str) -> None:
        """Start counting the time now."""
        self.path, self.every_s, self.recipe_id = path, every_s, recipe_id
        self._last, self._trouble = time.monotonic(), StoreTrouble(LOG)

    def is_due(self) -> bool:
        """Tell whether enough time has passed since the last checkpoint."""
        return time.monotonic() - self._last >= self.every_s

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint; where it cannot be written, the earlier one stays and the training goes on."""
        tensors = {f"model.{name}": tensor for name, tensor in checkpoint.model.items()}
        tensors |= {f"optimiser.{name}": tensor for name, tensor in checkpoint.optimiser.items()}
        tensors |= {f"extra.{name}": tensor for name, tensor in checkpoint.extra.items()}
        epoch, seconds = checkpoint.epoch, checkpoint.seconds
        metadata = {"format": FORMAT, "recipe": self.recipe_id, "epoch": str(epoch), "seconds": repr(seconds)}
        try:
            write_bytes(self.path, save(separate(tensors), metadata=metadata))
        except StoreUnavailableError as error:
            self._trouble.note(
                error, f"no checkpoint at the end of epoch {epoch}, nor until it can be written: {error}"
            )
        else:
            self._trouble.end()
        self._last = time.monotonic()


def load_checkpoint(path: Path, *, recipe_id: str) -> Checkpoint | None:
    """Read a run's checkpoint; return None where there is none, or it is damaged or another run's."""
    try:
        with (
            open_tensors(path, CHECKPOINT_MAX_BYTES) as (descriptor, _),
            safe_open(f"/proc/self/fd/{descriptor}", framework="pt") as file,
        ):
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if metadata.get("format") != FORMAT or metadata.get("recipe") != recipe_id:
            return None
        return Checkpoint(
            epoch=int(metadata["epoch"]),
            seconds=float(metadata["seconds"]),
            model=_without_prefix("model.", tensors),
            optimiser=_without_prefix("optimiser.", tensors),
            extra=_without_prefix("extra.", tensors),
        )
    except (SafetensorError, OSError, KeyError, ValueError):
        return None


def _without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def capture(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    extra: dict[str, Tensor],
    *,
    epoch: int,
    seconds: float,
) -> Checkpoint:
    """Return the present state of a model and its optimiser, in their own tensors; inverse of `restore`."""
    return Checkpoint(
        epoch=epoch,
        seconds=seconds,
        model=model.state_dict(),
        optimiser=_optimiser_tensors(optimiser),
        extra=extra,
    )


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: dict[int, dict[str, Any]] = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": value
        for number, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def restore(checkpoint: Checkpoint, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Put a model and an optimiser into a checkpoint's state."""
    model.load_state_dict(checkpoint.model)
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in checkpoint.optimiser.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
