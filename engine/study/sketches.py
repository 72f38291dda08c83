"""Sketches: where a run's weights are, in so few numbers that every run can keep them at every epoch.

A sketch is BUCKETS sums, each of a part of the weights, every weight with a sign of its own. The distance of two runs'
sketches estimates the distance of their weights, however many these are. Of weights that
differ all over the estimate has a relative SD of 1/sqrt(2·BUCKETS), 18 %; of one weight that was moved it is exact.

Source: Alon, Matias & Szegedy, "The space complexity of approximating the frequency moments", JCSS 1999; the buckets
are those of Charikar, Chen & Farach-Colton, "Finding frequent items in data streams", 2004.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.study.epochs import BUCKETS, SKETCH_BYTES


@dataclass(frozen=True)
class Path:
    """The way of a run's weights, from sketches after some of its steps."""

    steps: np.ndarray
    """Steps taken since the beginning, int64 (T,), rising."""
    sums: np.ndarray
    """float64 (T, BUCKETS)."""


def encode_sketches(steps: Sequence[int], sums: np.ndarray) -> str:
    """Return an epoch's sketches as text: of each the number of its step, then its sums.

    Args:
        steps: Steps taken since the beginning of the training, (T,).
        sums: float64 (T, BUCKETS).
    """
    rows = np.concatenate([np.asarray(steps, dtype="<f8")[:, None], np.asarray(sums, dtype="<f8")], axis=1)
    return base64.b64encode(rows.tobytes()).decode("ascii")


def decode_sketches(texts: Sequence[str | None]) -> Path | None:
    """Return a run's way from the texts of its epochs in order.

    Returns:
        The way; None where an epoch has no sketch, one is damaged, or steps do not rise.
    """
    parts: list[np.ndarray] = []
    for text in texts:
        try:
            content = base64.b64decode(text or "", validate=True)
        except (binascii.Error, ValueError):
            return None
        if not content or len(content) % SKETCH_BYTES:
            return None
        parts.append(np.frombuffer(content, dtype="<f8").reshape(-1, 1 + BUCKETS))
    if not parts:
        return None
    rows = np.concatenate(parts)
    steps = rows[:, 0]
    if not (np.isfinite(steps).all() and (np.diff(steps) > 0).all() and steps[0] >= 0 and steps[-1] < 2**53):
        return None
    return Path(steps.astype(np.int64), rows[:, 1:].astype(np.float64))


def measure_distances(one: Path, other: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of two runs' weights relative to the other's size, at the steps after which both have one.

    Returns:
        Steps, int64 (T,), and distances, float64 (T,): not finite where weights are not.
    """
    steps, mine, theirs = np.intersect1d(one.steps, other.steps, assume_unique=True, return_indices=True)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        apart = np.linalg.norm(one.sums[mine] - other.sums[theirs], axis=1)
        return steps, apart / np.linalg.norm(other.sums[theirs], axis=1)
