"""A small study whose replicas are arrays that a test may change."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from engine.metrics.checked import Seen
from engine.metrics.study import measure_study
from engine.plan.plan import make_plan
from engine.plan.records import PlannedArm
from engine.protocol.load import parse_protocol
from engine.study.files import make_folder
from engine.study.metrics_record import StudyMeasures, read_metrics, write_metrics
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.run_records import write_spec
from engine.study.study_plan import MeasuringSettings, read_plan
from tests.helpers.records import make_arm, make_plan_record, make_result, make_study

LABELS = np.arange(60) % 5
LOGITS = np.random.default_rng(3).normal(size=(6, 60, 5)).astype(np.float32) + 2 * np.eye(5, dtype=np.float32)[LABELS]
ARMS = [make_arm("Control", ["c1", "c2"]), make_arm("Init", ["r0", "r1", "r2", "r3"], vary=("init",))]


def put(paths: StudyPaths, run: str, logits: np.ndarray, **result: Any) -> None:
    make_folder(paths.run(run).folder)
    np.save(paths.run(run).predictions, logits)
    digests = {
        "weights_sha256": f"{hash(logits.tobytes()):x}",
        "predictions_sha256": hashlib.sha256(paths.run(run).predictions.read_bytes()).hexdigest(),
        "labels_sha256": hashlib.sha256(paths.labels.read_bytes()).hexdigest(),
    }
    write_record(paths.run(run).result, make_result(run=run, **digests | result))


def write_study_of_arrays(folder: Path) -> StudyPaths:
    paths = StudyPaths(folder)
    make_folder(paths.folder)
    write_plan(paths, ARMS, bootstrap=50)
    np.save(paths.labels, LABELS)
    for run, number in {"c1": 5, "c2": 5, "r0": 0, "r1": 1, "r2": 2, "r3": 3}.items():
        put(paths, run, LOGITS[number])
    return paths


def write_plan(paths: StudyPaths, arms: list[PlannedArm], *, bootstrap: int) -> None:
    settings = MeasuringSettings(cka=False, cka_examples=2048, bootstrap=bootstrap)
    write_record(paths.plan, make_study(arms, metrics=settings))


def measure(paths: StudyPaths, previous: StudyMeasures | None = None, seen: Seen | None = None) -> StudyMeasures:
    content = measure_study(paths, read_plan(paths), previous=previous, seen=seen)
    write_metrics(paths.metrics, content)
    assert read_metrics(paths.metrics) == content, "what is written is what is read"
    return content


COMPARED = """
[protocol]
name = "compared"
replicas = 5
[data]
preset = "digits"
[model]
preset = "linear"
[train]
epochs = 4
[[arm]]
name = "Baseline"
vary = ["init", "shuffle"]
[[arm]]
name = "New"
vary = ["init", "shuffle"]
train = { lr = 0.1 }
[[arm]]
name = "Init alone"
vary = ["init"]
[[arm]]
name = "Control"
vary = []
replicas = 2
"""
"""Baseline and New have the same seeds by replica."""


def write_compared_study(folder: Path, logits: np.ndarray, labels: np.ndarray) -> StudyPaths:
    """Write a study of COMPARED with logits (arms, R, N, C) of its runs; a shared run has those of the first arm."""
    plan = make_plan(parse_protocol(COMPARED, file="compared.toml"), device="cpu")
    paths = StudyPaths(folder)
    make_folder(paths.folder)
    write_record(paths.plan, make_plan_record(plan))
    np.save(paths.labels, labels)
    for arm, parts in zip(plan.arms, logits, strict=False):
        for run, part in zip(arm.runs, parts, strict=False):
            if paths.run(run).result.exists():
                continue
            put(paths, run, part)
            write_spec(paths.run(run), plan.recipes[run])
    return paths
