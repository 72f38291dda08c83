"""CKA of all pairs of 100 replicas at 2,048 examples, against computing their 100 Gram matrices."""

from __future__ import annotations

import time

import torch
from measurement import Measurement

from engine.training.similarity import compare_pairs, gram_vector

REPLICAS, EXAMPLES, FEATURES = 100, 2048, 64
BUDGET = 3.0


def measure() -> Measurement:
    torch.set_num_threads(1)
    size = EXAMPLES * (EXAMPLES + 1) // 2
    vectors = torch.empty(REPLICAS, size)
    grams_s = 0.0
    for replica in range(REPLICAS):
        features = torch.randn(EXAMPLES, FEATURES)
        started = time.perf_counter()
        vector = gram_vector(features)
        grams_s += time.perf_counter() - started
        assert vector is not None
        vectors[replica] = vector
    started = time.perf_counter()
    compare_pairs(vectors, EXAMPLES)
    pairs_s = time.perf_counter() - started
    ratio = (grams_s + pairs_s) / grams_s
    text = (
        f"R={REPLICAS}, n={EXAMPLES:,}, {FEATURES} features: Grams {grams_s:.1f} s, all pairs {pairs_s:.2f} s on top, "
        f"{4 * REPLICAS * size / 1e9:.2f} GB held: {ratio:.2f}x the Grams alone"
    )
    return Measurement(text, f"{BUDGET:.0f}x", ratio <= BUDGET)
