"""Keeps the runs of an arm on one model of device, where a protocol asks for that.

Runs that arms share tie these together, and so do a common beginning, a twin's weights and the self-test of a user's
own program: what is compared with each other, or goes on from each other, is of one model.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from engine.dispatch.queue import NotTaken, RunQueue, Taken
from engine.errors import NondetError
from engine.plan.records import PlannedArm, SelfTest
from engine.study.control import Control
from engine.study.paths import StudyPaths
from engine.study.records import create_record, find_record, write_record
from engine.study.run_records import AttemptRecord, DeviceRecord
from engine.study.study_plan import StudyPlan

UNKNOWN = "an unknown model"

WRITING_S = 2.0
"""How long another worker may take to write which model it is."""


class Tied(Protocol):
    """Says which runs there are, and what ties them together; a study's plan does."""

    @property
    def order(self) -> Sequence[str]: ...
    @property
    def arms(self) -> Sequence[PlannedArm]: ...
    @property
    def forks(self) -> Mapping[str, tuple[str, int]]: ...
    @property
    def reuses(self) -> Mapping[str, str]: ...
    @property
    def selftest(self) -> SelfTest | None: ...


def tie_runs(plan: Tied) -> dict[str, str]:
    """Return the first run, in training order, of those that each run is tied to."""
    rank = {run: number for number, run in enumerate(plan.order)}
    parents: dict[str, str] = {}

    def find(name: str) -> str:
        while (parent := parents.setdefault(name, name)) != name:
            parents[name] = parents[parent]
            name = parents[name]
        return name

    def tie(names: Iterable[str]) -> None:
        roots = sorted({find(name) for name in names}, key=lambda root: rank.get(root, len(rank)))
        for root in roots[1:]:
            parents[root] = roots[0]

    for arm in plan.arms:
        tie(arm.runs)
    for run, (beginning, _) in plan.forks.items():
        tie((run, f"from {beginning}"))  # no run has such an id
    for run, twin in plan.reuses.items():
        tie((run, twin))
    if plan.selftest is not None:
        tie(plan.selftest.runs)
    return {run: find(run) for run in plan.order}


class OneModel:
    """Decides which runs a worker on one model of device may train."""

    def __init__(self, paths: StudyPaths, plan: Tied, device: str) -> None:
        """Take note of a study's runs and of this worker's model."""
        self.paths, self.device, self.order = paths, device, plan.order
        self.first = tie_runs(plan)
        self.others: dict[str, None] = {}
        """Models that runs are kept for which this worker may not train."""

    def allows(self, run: str) -> bool:
        """Tell whether a run is this model's to train; it and what it is tied to are, once somebody was told so."""
        chosen = self._choose(self.first.get(run, run))
        if chosen != self.device:
            self.others[chosen] = None
        return chosen == self.device

    def _choose(self, first: str) -> str:
        """Return the model that a run and those tied to it are trained on; the first who asks decides that."""
        file = self.paths.run(first).device
        # Earlier versions kept a whole study on one model.
        chosen = find_record(self.paths.device, DeviceRecord) or find_record(file, DeviceRecord)
        if chosen is None:
            own = DeviceRecord(device=self._find_first_model(first) or self.device)
            create_record(file, own)
            chosen = self._await(file) or own
            if find_record(file, DeviceRecord) is None:  # left half-written by a worker that was killed
                write_record(file, own)
        return chosen.device

    def _await(self, file: Path) -> DeviceRecord | None:
        """Read the file, which another worker may be writing; None where that takes too long."""
        deadline = time.monotonic() + WRITING_S
        while (found := find_record(file, DeviceRecord)) is None and time.monotonic() < deadline:
            time.sleep(WRITING_S / 100)
        return found

    def _find_first_model(self, first: str) -> str | None:
        """Return the model of the first attempt at any of the tied runs; None where there is none."""
        for run in (run for run in self.order if self.first[run] == first):
            for attempt in self.paths.run(run).list_attempts():
                made = find_record(attempt.attempt, AttemptRecord)
                if made is not None and made.model is not None:
                    return made.model
        return None

    def explain(self, host: str) -> str:
        """Say why nothing is left for this worker, and what to do."""
        return (
            f"{self.paths.folder}: what is left of it is kept for {', '.join(self.others)}, and {host} has "
            f"{self.device}, which dispatch.require_same_device rules out within an arm: ask for the same model, as "
            "with slurm.gres or slurm.extra"
        )


def claim_on_model(
    queue: RunQueue,
    plan: StudyPlan,
    *,
    control: Control,
    record: AttemptRecord,
    wanted: Sequence[str] | None = None,
    alone: bool = True,
) -> Taken | NotTaken:
    """Claim the next run of a study that may be trained on this worker's model of device; see `RunQueue.claim_next`.

    Args:
        queue: The worker's.
        plan: The study's runs and settings.
        control: Requests that hold.
        record: Who claims, and on which model.
        wanted: The runs that may be claimed.
        alone: Whether the run is the worker's next one, and not one more beside another.

    Raises:
        NondetError: If all that is left has to be trained on another model.
    """
    if not plan.dispatch.require_same_device:
        return queue.claim_next(plan, control=control, record=record, wanted=wanted)
    models = OneModel(queue.paths, plan, record.model or UNKNOWN)
    taken = queue.claim_next(plan, control=control, record=record, wanted=wanted, allows=models.allows)
    if taken is not NotTaken.NOT_ALLOWED:
        return taken
    if alone:
        raise NondetError(models.explain(record.owner.host))
    return NotTaken.NOTHING_LEFT
