"""`python -P -m engine.metrics STUDY ARM`: how far every two replicas of an arm are apart, those alike side by side."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from engine.errors import StudyError
from engine.metrics.checked import read_basis
from engine.metrics.outputs import ImageOutputs
from engine.metrics.pairs import Matrix, disagreement_matrix
from engine.metrics.replicas import (
    Predictions,
    ReplicaReader,
    average_groups,
    find_usable,
    open_logits,
    read_labels,
    stack_predictions,
)
from engine.protocol.faults import printable
from engine.study.pairs_record import ArmPairs
from engine.study.paths import StudyPaths
from engine.study.study_plan import read_plan

MOST_REPLICAS = 200
"""Replicas that are compared: a square of more does not fit any terminal."""


def measure_pairs(paths: StudyPaths, name: str) -> ArmPairs:
    """Return the disagreement of every two replicas of an arm.

    Raises:
        StudyError: If there is no such arm, or nothing of it can be compared.
    """
    plan, labels = read_plan(paths), read_labels(paths.labels)
    arm = next((arm for arm in plan.arms if arm.name == name), None)
    if arm is None or isinstance(labels, str):
        raise StudyError(f"{paths.folder}: {labels if isinstance(labels, str) else f'no arm {printable(name)}'}")
    reader = ReplicaReader(paths, labels, dict(read_basis(paths.checked).seen))
    reader.look(arm.runs)
    found = reader.check(arm.runs)
    every = [found[run] for run in arm.runs]
    replicas = average_groups(every, arm.group) if arm.group > 1 else [one for one in every if one is not None]
    usable = find_usable(replicas)
    kept = usable[:MOST_REPLICAS]
    parts = [one.predictions for one in kept if one.predictions is not None]
    if len(parts) < 2:
        raise StudyError("pairs need two finished replicas of the arm")
    matrix = _compare(parts, labels.values, text=plan.text)
    places = {run: number for number, run in enumerate(arm.runs)}
    runs = tuple(one.run.split("+")[0] for one in kept)
    return ArmPairs(
        replicas=tuple(places.get(run, number * arm.group) // arm.group + 1 for number, run in enumerate(runs)),
        runs=runs,
        order=tuple(sort_alike(matrix)),
        disagreement=tuple(tuple(float(value) for value in row) for row in matrix),
        left_out=len(usable) - len(kept),
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
