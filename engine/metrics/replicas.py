"""The replicas of an arm as they are in the study folder, damaged ones included."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.store.files import read_json
from engine.store.paths import StudyPaths

TEXT_FIELDS = ("argmax", "log_probability")
"""Of the predictions of language models."""


@dataclass(frozen=True)
class Replica:
    """One finished run, or what is wrong with it."""

    run: str
    fault: str | None = None
    """Why its predictions cannot be used."""
    diverged: bool = False
    weights_sha256: str | None = None
    predictions: np.ndarray | None = None
    """Mapped from its file: float32 (N, C), or words with TEXT_FIELDS (N,)."""
    result: dict[str, Any] = field(default_factory=dict)
    """The content of result.json."""


def read_labels(path: Path) -> np.ndarray | str:
    """The study's labels, int64 (N,), or what is wrong with them."""
    try:
        labels = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return "labels.npy is missing; the next run that is trained writes it anew"
    except (OSError, ValueError, EOFError) as error:
        return f"labels.npy is damaged ({error})"
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        return f"labels.npy holds {labels.dtype} {labels.shape}, not whole numbers (N,)"
    return labels


def read_replica(paths: StudyPaths, run_id: str, labels: np.ndarray | str) -> Replica | None:
    """A run's predictions; None where it has not finished, a fault where something is wrong with them.

    Without usable labels there is nothing to compare predictions with, and none are read.
    """
    run = paths.run(run_id)
    if not run.result.exists():
        return None
    result = read_json(run.result)
    if result is None:
        return Replica(run_id, fault="result.json is empty or damaged")
    if isinstance(labels, str):
        return Replica(run_id)
    predictions = read_predictions(run.predictions, len(labels))
    if isinstance(predictions, str):
        return Replica(run_id, fault=predictions)
    diverged = result.get("diverged") is True
    if not diverged and not is_finite(predictions):
        return Replica(run_id, fault="predictions.npy holds values that are not finite")
    return Replica(
        run_id, diverged=diverged, weights_sha256=result.get("weights_sha256"), predictions=predictions, result=result
    )


def average_groups(members: list[Replica | None], size: int) -> list[Replica]:
    """Ensembles of `size` runs each, in order, none in two: the mean of their logits stands for a replica.

    A group counts once all of its members can be used.

    Source: paper, section 5; the published code averages logits.
    """
    ensembles = []
    for start in range(0, len(members) - size + 1, size):
        group = [member for member in members[start : start + size] if member is not None]
        usable = [member.predictions for member in find_usable(group) if member.predictions is not None]
        if len(usable) == size and len({array.shape for array in usable}) == 1:
            total = np.sum(np.stack(usable), axis=0, dtype=np.float64)
            mean = np.asarray(total / size, dtype=np.float32)
            ensembles.append(Replica("+".join(member.run for member in group), predictions=mean))
    return ensembles


def read_predictions(path: Path, examples: int) -> np.ndarray | str:
    """A run's logits, float32 (N, C), mapped from the file, or what is wrong with them."""
    try:
        predictions = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        return "predictions.npy is missing"
    except (OSError, ValueError, EOFError) as error:
        return f"predictions.npy is damaged ({error})"
    if predictions.dtype.names == TEXT_FIELDS and predictions.shape == (examples,):
        return predictions
    if predictions.ndim != 2 or len(predictions) != examples or predictions.dtype != np.float32:
        return f"predictions.npy holds {predictions.dtype} {predictions.shape}, not float32 ({examples}, C)"
    return predictions


def is_finite(predictions: np.ndarray) -> bool:
    """Whether all predictions are numbers."""
    values = predictions["log_probability"] if predictions.dtype.names else predictions
    return bool(np.isfinite(values).all())


def find_usable(replicas: list[Replica]) -> list[Replica]:
    """The replicas that measures are over: neither damaged nor diverged to values that are not finite."""
    return [
        replica
        for replica in replicas
        if replica.predictions is not None and (not replica.diverged or is_finite(replica.predictions))
    ]
