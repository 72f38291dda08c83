"""Means over pairs of the replicas' CKA, with intervals, from the pairs in cka.json."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from engine.metrics.intervals import mean_over_pairs, pairs_interval
from engine.metrics.spread import FEWEST
from engine.study.metrics_record import LayerSimilarity
from engine.study.similarity_record import ArmSimilarity, LayerPairs

CKA_BOUNDS = (0.0, 1.0)


def summarise_cka(compared: Iterable[ArmSimilarity], arm: str) -> tuple[LayerSimilarity, ...] | None:
    """Summarise an arm's layers in the order of the network; None where they were not compared."""
    found = next((entry for entry in compared if entry.name == arm), None)
    return None if found is None else tuple(summarise_layer(layer) for layer in found.layers)


def summarise_layer(layer: LayerPairs) -> LayerSimilarity:
    """Return one layer's mean and interval."""
    replicas = len(layer.cka)
    matrix = np.array(layer.cka, dtype=np.float64).reshape(replicas, replicas)
    ends = pairs_interval(matrix, CKA_BOUNDS) if replicas >= FEWEST else None
    return LayerSimilarity(
        layer=layer.name,
        n=replicas,
        cka=mean_over_pairs(matrix) if replicas > 1 else None,
        cka_ci=None if ends is None else (float(ends[0]), float(ends[1])),
    )
