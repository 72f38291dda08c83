"""Studies made of files alone."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

from msgspec import structs

from engine.plan.records import PlannedArm
from engine.study.epochs import EpochRecord, append_epoch, read_epochs
from engine.study.files import make_folder
from engine.study.metrics_record import ArmMeasures, StudyMeasures, write_metrics
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.study_plan import read_plan
from engine.study.supervisor_record import SlotRecord
from tests.helpers.measures import make_measures
from tests.helpers.records import make_arm, make_attempt, make_exit, make_result, make_study, make_supervisor

SMALL = """
[protocol]
name = "small"
replicas = 4
[data]
preset = "digits"
[model]
preset = "linear"
[train]
epochs = 6
warmup_epochs = 1
[dispatch]
devices = "cpu"
"""
"""The beginning of a protocol that takes a moment; its last table is [dispatch], arms follow."""

HOSTILE = "[red]all[/] \x1b[31mx"


def write_study(
    folder: Path,
    *,
    arms: dict[str, list[str]] | None = None,
    replicas: int = 3,
    epochs: int = 8,
    done: int = 2,
    running: int = 1,
    failed: int = 0,
) -> StudyPaths:
    """A study in the middle of its life: of each arm some runs are done, running, failed and queued."""
    rng = random.Random(1)
    paths = StudyPaths(folder)
    arms = arms or {"Control": [], "Parameter Initialization": ["init"], HOSTILE: ["init", "shuffle"]}
    planned: list[PlannedArm] = []
    for number, (name, vary) in enumerate(arms.items()):
        runs = [f"{number:08x}{replica:08x}" for replica in range(replicas)]
        planned.append(make_arm(name, runs, vary=tuple(vary)))
        for replica, run in enumerate(runs):
            if replica < done:
                write_run(paths, run, epochs, rng, state="done")
            elif replica < done + running:
                write_run(paths, run, epochs // 2, rng, state="running")
            elif replica < done + running + failed:
                write_run(paths, run, 1, rng, state="failed")
            else:
                make_folder(paths.run(run).attempts)
    make_folder(paths.control)
    lengths = dict.fromkeys((run for arm in planned for run in arm.runs), epochs)
    write_record(paths.plan, make_study(planned, study=folder.name, epochs=lengths, reference="table1"))
    slots = (SlotRecord("cpu:0", "training"), SlotRecord("cpu:1", "idle"))
    write_record(paths.supervisor, make_supervisor(slots=slots))
    measures = tuple(measured(name, vary, done) for name, vary in arms.items())
    write_metrics(paths.metrics, StudyMeasures(study=folder.name, arms=measures))
    return paths


def write_run(paths: StudyPaths, run: str, epochs: int, rng: random.Random, *, state: str) -> None:
    attempt = paths.run(run).attempt(1)
    make_folder(attempt.folder)
    write_record(attempt.attempt, make_attempt())
    attempt.log.write_text("first line\nneedle in it\n\x1b[31mred?\x1b[0m [bold]not markup[/bold]\n" * 30)
    paths.run(run).spec.write_text("{}")
    lift = rng.gauss(0, 0.5)
    for epoch in range(1, epochs + 1):
        accuracy = 98 - 60 / epoch + lift
        append_epoch(attempt.epochs, EpochRecord(
            epoch=epoch, train_loss=1.0, test_accuracy=accuracy, test_cross_entropy=(1 + lift / 9) / epoch, lr=0.1,
            seconds=0.5,
        ))  # fmt: skip
    if state == "done":
        paths.run(run).predictions.write_bytes(b"x")
        result = make_result(run=run, epochs=epochs, test_accuracy=98.0 + lift, weights_sha256=run)
        write_record(paths.run(run).result, result)
    if state == "failed":
        write_record(attempt.exit, make_exit(reason="ValueError: [bad] input"))


def write_digests(paths: StudyPaths) -> None:
    """Give the runs of a study digests: the first arm's third replica leaves the others in epoch 2."""
    for arm in read_plan(paths).arms:
        for number, run in enumerate(arm.runs):
            attempt = paths.run(run).attempt(1)
            records = read_epochs(attempt.epochs).records
            attempt.epochs.unlink(missing_ok=True)
            for record in records:
                apart = arm.vary or (number == 2 and record.epoch > 1)
                weights = f"{number if apart else 0:016x}"
                start = f"{number if arm.vary else 0:016x}" if record.epoch == 1 else None
                append_epoch(attempt.epochs, structs.replace(record, weights=weights, start=start))


def diverge(paths: StudyPaths, run: str, *, epoch: int) -> None:
    """Make a finished run one that diverged in an epoch."""
    epochs = paths.run(run).attempt(1).epochs
    kept = read_epochs(epochs).records[: epoch - 1]
    epochs.unlink()
    lost = EpochRecord(
        epoch=epoch, train_loss=math.nan, test_accuracy=9.91, test_cross_entropy=math.nan, lr=0.1, seconds=0.5
    )
    for record in (*kept, lost):
        append_epoch(epochs, record)
    result = make_result(run=run, diverged=True, diverged_epoch=epoch, epochs=epoch, test_accuracy=9.91)
    write_record(paths.run(run).result, result)


def measured(name: str, vary: list[str], n: int) -> ArmMeasures:
    return make_measures(
        name=name, vary=vary, planned=3, finished=n, n=n, identical_weights=not vary, accuracy_mean=97.5,
        accuracy_mean_ci=[95.98, 99.02] if vary else [97.5, 97.5], accuracy_sd_ci=[0.32, 3.86] if vary else [0.0, 0.0],
        accuracy_sd=0.5 if vary else 0.0, accuracy_sd_error=0.1 if vary else 0.0, cross_entropy_mean=0.1,
        cross_entropy_sd=0.01, cross_entropy_sd_error=0.002, disagreement=3.1, disagreement_ci=[2.5, 3.7],
        correlation=0.87, correlation_ci=[0.8, 0.94], ensemble_delta=0.4, ensemble_delta_ci=[0.2, 0.6],
        disagreement_right=2.4, disagreement_right_ci=[1.9, 3.0], disagreement_wrong=0.7,
        disagreement_wrong_ci=[0.5, 1.0], disputed=4.6, class_sd=1.8, class_sd_ci=[1.1, 4.9], worst_class=91.5,
        calibration_error=1.3, calibration_error_ci=[0.9, 1.7], vote_calibration_error=1.1, error_gap=0.6,
        error_gap_ci=[-0.2, 1.4],
        disputes={
            "classes": 10,
            "worst": [{"label": label, "examples": 35, "accuracy": 91.5 + label / 2, "sd": 2.0} for label in (0, 3, 8)],
            "unsteady": [{"label": 3, "examples": 35, "accuracy": 93.0, "sd": 2.0 if vary else 0.0}],
            "examples": [{"index": 127, "label": 8, "shares": [[8, 2 / 3], [3, 1 / 3]]}] if vary else [],
        },
        diagnostics={"test_set_sd": 0.4, "independent_sd": 0.3, "true_sd": 0.2, "true_sd_ci": [0.0, 0.4],
                     "error": 2.5, "sd_ratio": 7.25,
                     "sample_sd": 0.61 if vary else 0.0, "sample_sd_ci": [0.32, 3.86] if vary else [0.0, 0.0]},
    )  # fmt: skip


PROTOCOL = """\
# A comment that stays.
[protocol]
name = "mine"          # and this one
replicas = 3

[data]
preset = "digits"

[model]
preset = "linear"

[train]
epochs = 4
warmup_epochs = 1
batch_size = 100

[[arm]]
name = "Parameter Initialization"
vary = ["init"]
"""


def read_requests(paths: StudyPaths) -> list[tuple[str, Any]]:
    files = sorted(paths.control.glob("*.json"))
    return [(content["verb"], content["runs"]) for content in (json.loads(file.read_text()) for file in files)]
