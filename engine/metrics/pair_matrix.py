"""`python -P -m engine.metrics STUDY ARM`: how far every two replicas of an arm are apart, those alike side by side."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from engine.errors import StudyError
from engine.metrics.finished import read_finished
from engine.metrics.outputs import ImageOutputs
from engine.metrics.pairs import Matrix, disagreement_matrix
from engine.metrics.replicas import Predictions, open_logits, stack_predictions
from engine.study.pairs_record import ArmPairs
from engine.study.paths import StudyPaths

MOST_REPLICAS = 200
"""Replicas that are compared: a square of more does not fit any terminal."""


def measure_pairs(paths: StudyPaths, name: str) -> ArmPairs:
    """Return the disagreement of every two replicas of an arm.

    Raises:
        StudyError: If there is no such arm, or nothing of it can be compared.
    """
    arm = read_finished(paths, name)
    kept = arm.replicas[:MOST_REPLICAS]
    parts = arm.predictions[:MOST_REPLICAS]
    if len(parts) < 2 or arm.labels is None:
        raise StudyError("pairs need the predictions of two finished replicas of the arm")
    matrix = _compare(parts, arm.labels.values, text=arm.plan.text)
    return ArmPairs(
        replicas=arm.numbers[:MOST_REPLICAS],
        runs=tuple(one.run.split("+")[0] for one in kept),
        order=tuple(sort_alike(matrix)),
        disagreement=tuple(tuple(float(value) for value in row) for row in matrix),
        left_out=len(arm.replicas) - len(kept),
    )


def _compare(parts: list[Predictions], labels: np.ndarray, *, text: bool) -> Matrix:
    if text:
        chosen = stack_predictions(parts)["argmax"]
        return disagreement_matrix(chosen, int(chosen.max()) + 1)
    return ImageOutputs(open_logits(parts), labels.astype(np.int64)).find_disagreements()


def sort_alike(distances: Matrix) -> list[int]:
    """Return places in an order in which what is near stands side by side.

    Source: average linkage, its leaves turned so that neighbours are nearest, Bar-Joseph et al. (2001); scipy.

    Args:
        distances: float (R, R), symmetric, zero on the diagonal, R of 2 or more.
    """
    if len(distances) < 3:
        return list(range(len(distances)))
    tree = linkage(squareform(distances, checks=False), "average", optimal_ordering=True)
    return [int(place) for place in leaves_list(tree)]
