"""Means over pairs of the replicas' CKA, with intervals, from the pairs in cka.json."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from engine.metrics.intervals import mean_over_pairs, pairs_interval
from engine.metrics.spread import FEWEST
from engine.study.estimate import NOTHING, Estimate, Interval
from engine.study.metrics_record import LayerSimilarity
from engine.study.similarity_record import ArmSimilarity, LayerPairs

CKA_BOUNDS = (0.0, 1.0)
DEBIASED_BOUNDS = (-1.0, 1.0)


def summarise_cka(compared: Iterable[ArmSimilarity], arm: str) -> tuple[LayerSimilarity, ...] | None:
    """Summarise an arm's layers in the order of the network; None where they were not compared."""
    found = next((entry for entry in compared if entry.name == arm), None)
    return None if found is None else tuple(summarise_layer(layer) for layer in found.layers)


def summarise_layer(layer: LayerPairs) -> LayerSimilarity:
    """Return one layer's means and intervals."""
    plain, debiased = _summarise(layer.cka, CKA_BOUNDS), _summarise(layer.debiased or (), DEBIASED_BOUNDS)
    return LayerSimilarity(
        layer=layer.name,
        n=len(layer.cka),
        cka=plain.value,
        cka_ci=plain.interval,
        cka_debiased=debiased.value,
        cka_debiased_ci=debiased.interval,
    )


def _summarise(pairs: tuple[tuple[float, ...], ...], bounds: Interval) -> Estimate:
    """Return the mean over pairs of replicas with its interval, as far as there are enough of them."""
    matrix = np.array(pairs, dtype=np.float64).reshape(len(pairs), len(pairs))
    if len(matrix) < 2:
        return NOTHING
    value = mean_over_pairs(matrix)
    if len(matrix) < FEWEST:
        return Estimate(value)
    low, high = pairs_interval(matrix, bounds)
    return Estimate(value, interval=(float(low), float(high)))
