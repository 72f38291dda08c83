"""The paper's measures with intervals against scipy and numpy, which compute the same figures pair by pair."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys

import numpy as np
from measurement import Measurement, best_s
from scipy import special, stats

from engine.metrics import diversity
from engine.metrics.__main__ import COMPUTE_ENVIRONMENT
from engine.metrics.estimates import Resampling, measure_some
from engine.metrics.logits import Logits
from engine.metrics.outputs import IMAGE_FORMULAS, ImageOutputs

REPLICAS, EXAMPLES, CLASSES = 100, 10_000, 10
BASELINE_PAIRS = 3
"""Pairs that the baseline is timed on; it is proportional to their number."""

BUDGET = 300

SAME = (
    "accuracy_mean", "accuracy_sd", "cross_entropy_mean", "cross_entropy_sd", "disagreement", "correlation", "pearson",
    "ensemble_delta", "ensemble_cross_entropy_delta",
)  # fmt: skip
"""What both compute; the measures of what replicas disagree about have no counterpart in the baseline."""


def make_logits() -> tuple[np.ndarray, np.ndarray]:
    """Replicas that agree on about nine examples in ten, as trained ones do."""
    rng = np.random.default_rng(1)
    labels = rng.integers(CLASSES, size=EXAMPLES)
    common = 4 * np.eye(CLASSES)[labels] + 1.5 * rng.normal(size=(EXAMPLES, CLASSES))
    return (common + 0.35 * rng.normal(size=(REPLICAS, EXAMPLES, CLASSES))).astype(np.float32), labels


def measure_pair(one: np.ndarray, other: np.ndarray, labels: np.ndarray) -> tuple[object, ...]:
    """The same five pairwise figures, by the definitions."""
    mean = (one + other) / 2
    return (
        np.mean(one.argmax(1) != other.argmax(1)),
        stats.spearmanr(one.ravel(), other.ravel()),
        np.mean(mean.argmax(1) == labels),
        -np.mean(special.log_softmax(mean, axis=1)[np.arange(len(labels)), labels]),
        np.corrcoef(one.ravel(), other.ravel()),
    )


def measure_same(logits: np.ndarray, labels: np.ndarray) -> None:
    """Compute what the baseline does, with intervals."""
    outputs = ImageOutputs(Logits.of_array(logits), labels.astype(np.int64))
    resampling = Resampling(10_000, 1)
    measure_some(IMAGE_FORMULAS, outputs, len(logits), resampling, keys=SAME, reason="no counterpart")


def measure_all_s() -> tuple[float, float, float]:
    """Seconds for the same measures, for all measures, and for a pair in the baseline."""
    logits, labels = make_logits()
    pairs = list(itertools.combinations(range(REPLICAS), 2))

    def baseline() -> None:
        for i, j in pairs[:: len(pairs) // BASELINE_PAIRS][:BASELINE_PAIRS]:
            measure_pair(logits[i], logits[j], labels)

    same_s, every_s = best_s(lambda: measure_same(logits, labels), 5), best_s(lambda: diversity(logits, labels), 5)
    return same_s, every_s, best_s(baseline, 3) / BASELINE_PAIRS


def measure() -> Measurement:
    # In a process with the environment of the one that measures studies; numpy reads it when it is loaded.
    environment = os.environ | COMPUTE_ENVIRONMENT
    done = subprocess.run([sys.executable, __file__], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    ours_s, every_s, pair_s = map(float, done.stdout.split())
    count = math.comb(REPLICAS, 2)
    ratio = pair_s * count / ours_s
    text = (
        f"R={REPLICAS}, N={EXAMPLES:,}, C={CLASSES}: {ours_s:.2f} s, all measures {every_s:.2f} s; scipy and numpy "
        f"{1000 * pair_s:.1f} ms per pair, {pair_s * count:.0f} s for {count:,} pairs: 1/{ratio:.0f}"
    )
    return Measurement(text, f"1/{BUDGET}", ratio >= BUDGET)


if __name__ == "__main__":
    print(*measure_all_s())
