"""Writes stores of thousands of runs, with everything that viewers, supervisors and measures read of them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.study.epochs import EpochRecord, format_epoch
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from engine.study.records import encode_record
from engine.study.supervisor_record import SlotRecord
from tests.helpers.records import make_arm, make_attempt, make_result, make_study, make_supervisor

EXAMPLES, CLASSES = 360, 10
"""As in the digits that come with the program."""

GONE = replace(current_owner(), start_ticks=1)
"""A process that has ended: with a supervisor of this owner, a study is not being trained."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a study is."""

    arms: int = 1
    replicas: int = 100
    epochs: int = 10
    done: int = 100
    """Finished replicas of each arm."""
    running: int = 0
    """Running ones of each arm, half-way; their owner is this process."""


def write_large_study(folder: Path, size: Size) -> StudyPaths:
    """Write a study of the given size; what is neither done nor running is queued."""
    paths = StudyPaths(folder)
    paths.control.mkdir(parents=True)
    labels = np.random.default_rng(0).integers(CLASSES, size=EXAMPLES)
    labels_sha256 = _write(paths.labels, to_bytes(labels))
    arms = [make_arm(f"Arm {arm}", [name_run(arm, k) for k in range(size.replicas)]) for arm in range(size.arms)]
    lengths = dict.fromkeys((run for arm in arms for run in arm.runs), size.epochs)
    _write(paths.plan, encode_record(make_study(arms, study=folder.name, epochs=lengths)))
    supervisor = make_supervisor(GONE, slots=(SlotRecord("cpu:0", "training"),))
    _write(paths.supervisor, encode_record(supervisor))
    attempt = encode_record(make_attempt())
    for arm in range(size.arms):
        for replica in range(size.replicas):
            run_id = name_run(arm, replica)
            run = paths.run(run_id)
            run.attempts.mkdir(parents=True)
            _write(run.spec, b"{}\n")
            if replica >= size.done + size.running:
                continue
            one = run.attempt(1)
            one.folder.mkdir()
            _write(one.attempt, attempt)
            _write(one.log, b"trained\n")
            done = replica < size.done
            _write(one.epochs, write_lines(arm + replica, size.epochs if done else size.epochs // 2))
            if done:
                logits = make_logits(labels, seed=1000 * arm + replica)
                result = make_result(
                    run=run_id,
                    epochs=size.epochs,
                    predictions_sha256=_write(run.predictions, to_bytes(logits)),
                    weights_sha256=run_id,
                    labels_sha256=labels_sha256,
                )
                _write(run.result, encode_record(result))
    return paths


def write_large_store(folder: Path, *, studies: int, size: Size) -> Path:
    """Write a store of equal studies."""
    for number in range(studies):
        write_large_study(folder / f"study-{number:03d}", size)
    return folder


def name_run(arm: int, replica: int) -> str:
    """Return a run's id."""
    return f"{arm:08x}{replica:08x}"


def write_lines(number: int, epochs: int) -> bytes:
    """Return the lines of some epochs of a run, of which each number has its own figures."""
    lines = []
    for epoch in range(1, epochs + 1):
        accuracy = 98 - 60 / epoch + (number % 97) / 97
        lines.append(
            format_epoch(
                EpochRecord(
                    epoch=epoch,
                    train_loss=1 / epoch,
                    test_accuracy=accuracy,
                    test_cross_entropy=1 / (epoch + number % 7),
                    lr=0.1,
                    seconds=0.5,
                )
            )
        )
    return b"".join(lines)


def make_logits(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """Return logits (N, C) float32 that are right on about nine examples in ten."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((len(labels), CLASSES), dtype=np.float32)
    return 3 * np.eye(CLASSES, dtype=np.float32)[labels] + noise


def to_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
