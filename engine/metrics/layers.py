"""Means over pairs of the replicas' CKA, with intervals, from the pairs in cka.json."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.metrics.intervals import jackknife_interval, mean_over_pairs
from engine.study.files import read_json
from engine.study.paths import StudyPaths


def summarise_cka(paths: StudyPaths, arm: str) -> list[dict[str, Any]] | None:
    """Layer, mean over pairs and 95 % jackknife interval of an arm; None where its layers were not compared.

    Returns:
        Per layer, in the order of the network: {"layer", "n", "cka", "cka_ci"}; null below two or three replicas.
    """
    content = read_json(paths.cka) if paths.cka.exists() else None
    found = [entry for entry in (content or {}).get("arms", []) if entry.get("name") == arm]
    if not found:
        return None
    return [summarise_layer(layer) for layer in found[0]["layers"]]


def summarise_layer(layer: dict[str, Any]) -> dict[str, Any]:
    """One layer's mean and interval."""
    matrix = np.array(layer["cka"], dtype=np.float64).reshape(len(layer["cka"]), len(layer["cka"]))
    replicas = len(matrix)
    return {
        "layer": layer["name"],
        "n": replicas,
        "cka": mean_over_pairs(matrix) if replicas > 1 else None,
        "cka_ci": list(jackknife_interval(matrix)) if replicas > 2 else None,
    }
