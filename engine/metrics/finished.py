"""The finished replicas of one arm that can be measured: none that is damaged, missing, or diverged to no numbers."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import StudyError
from engine.metrics.checked import read_basis
from engine.metrics.replicas import (
    Labels,
    Predictions,
    Replica,
    ReplicaReader,
    average_groups,
    find_usable,
    read_labels,
)
from engine.plan.records import PlannedArm
from engine.protocol.faults import printable
from engine.study.paths import StudyPaths
from engine.study.run_state import find_result
from engine.study.study_plan import StudyPlan, read_plan


@dataclass(frozen=True)
class FinishedArm:
    """One arm, and those of its replicas that have usable predictions."""

    plan: StudyPlan
    arm: PlannedArm
    labels: Labels | None
    """None where runs left numbers by name alone."""
    replicas: tuple[Replica, ...]
    numbers: tuple[int, ...]
    """The number of each in the plan, from 1."""
    diverged: int
    """Replicas that diverged to what is no number, and are not among them."""

    @property
    def title(self) -> str:
        """Its name with that of its study, as harmless text."""
        return f"{printable(self.plan.study)}:{printable(self.arm.name)}"

    @property
    def predictions(self) -> list[Predictions]:
        """The predictions of the replicas."""
        return [one.predictions for one in self.replicas if one.predictions is not None]


def read_finished(paths: StudyPaths, name: str) -> FinishedArm:
    """Read which replicas of an arm can be used; their bytes are compared with their digests.

    Raises:
        StudyError: If there is no such arm, or the study's labels cannot be used.
    """
    plan = read_plan(paths)
    arm = next((arm for arm in plan.arms if arm.name == name), None)
    if arm is None:
        raise StudyError(f"{paths.folder}: no arm {printable(name)}")
    if plan.kind == "scores":
        return _read_numbers(paths, plan, arm)
    labels = read_labels(paths.labels)
    if isinstance(labels, str):
        raise StudyError(f"{paths.folder}: {labels}")
    reader = ReplicaReader(paths, labels, dict(read_basis(paths.checked).seen))
    reader.look(arm.runs)
    found = reader.check(arm.runs)
    every = [found[run] for run in arm.runs]
    replicas = average_groups(every, arm.group) if arm.group > 1 else [one for one in every if one is not None]
    usable = find_usable(replicas)
    places = {run: number for number, run in enumerate(arm.runs)}
    firsts = [one.run.split("+")[0] for one in usable]
    numbers = tuple(places.get(run, number * arm.group) // arm.group + 1 for number, run in enumerate(firsts))
    diverged = sum(one.fault is None and not one.finite for one in replicas)
    return FinishedArm(plan, arm, labels, tuple(usable), numbers, diverged)


def _read_numbers(paths: StudyPaths, plan: StudyPlan, arm: PlannedArm) -> FinishedArm:
    """Read the replicas of an arm that left numbers by name and no predictions."""
    results = {number: find_result(paths.run(run)).result for number, run in enumerate(arm.runs, start=1)}
    usable = {number: one for number, one in results.items() if one is not None and not one.diverged}
    replicas = tuple(Replica(one.run, result=one) for one in usable.values())
    diverged = sum(one is not None and one.diverged for one in results.values())
    return FinishedArm(plan, arm, None, replicas, tuple(usable), diverged)
