"""Takes what a program has left in {out} into its run's folder; the result comes last and makes the run done."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import NondetError
from engine.recipe import CommandRecipe
from engine.study.files import create_file, write_bytes
from engine.study.opening import read_regular
from engine.study.paths import LABELS_MAX_BYTES, PREDICTIONS_MAX_BYTES, AttemptPaths, StudyPaths
from engine.study.records import encode_record
from engine.study.run_records import ResultRecord, Resumption, tell_time
from engine.study.run_state import read_result
from engine.study.study_plan import StudyPlan
from engine.training.commands.arrays import read_array
from engine.training.commands.predictions import take_labels, take_predictions
from engine.training.commands.reports import read_numbers
from engine.training.fencing import write_run
from engine.training.full_store import patiently

RESULT = "result.json"
"""The file in {out} that holds numbers by name."""

RESULT_MAX_BYTES = 1_000_000

HELPER = "nondet_report.done(…) writes it"


@dataclass(frozen=True)
class Finished:
    """A run whose program has ended well."""

    study: StudyPaths
    plan: StudyPlan
    run_id: str
    attempt: AttemptPaths
    out: Path
    epochs: int
    """Epochs that were reported."""
    seconds: float
    resumption: Resumption | None = None


def take_outcome(finished: Finished, recipe: CommandRecipe) -> None:
    """Check what a program has left, and write the run's predictions and result.

    Raises:
        NondetError: If something is missing or is not what it should be; the message is for the user.
    """
    scores = read_scores(finished.out / RESULT)
    if recipe.kind == "scores":
        if not scores:
            raise NondetError(
                f"the program ended well and left no numbers in {{out}}/{RESULT}: write a JSON object there, such as "
                f'{{"accuracy": 91.3}}; {HELPER}'
            )
        _take_scores(finished, scores)
        return
    labels = take_labels(_read(finished.out, recipe.labels, "labels"), recipe.labels)
    taken = take_predictions(
        _read(finished.out, recipe.predictions, "predictions"), labels, recipe.kind, recipe.predictions
    )
    labels_sha256 = _settle_labels(finished, array_bytes(labels))
    _write(
        finished,
        array_bytes(taken.values),
        labels_sha256,
        scores,
        diverged=not taken.finite,
        accuracy=taken.accuracy,
        cross_entropy=taken.cross_entropy,
    )


def _take_scores(finished: Finished, scores: dict[str, float]) -> None:
    values = np.array([scores[name] for name in sorted(scores)], dtype=np.float64)
    diverged = not all(map(math.isfinite, scores.values()))
    _write(finished, array_bytes(values), "", scores, diverged=diverged, accuracy=None, cross_entropy=None)


def _read(out: Path, name: str, what: str) -> np.ndarray:
    path = out / name
    if not path.is_file():
        there = sorted(one.name for one in out.iterdir())[:8]
        raise NondetError(
            f"the program ended well and left no {name} in {{out}} (there: {', '.join(there) or 'nothing'}): write the "
            f"{what} on the test examples there, or name the file in command.{what}; {HELPER}"
        )
    if path.stat().st_size > PREDICTIONS_MAX_BYTES:
        raise NondetError(f"{name}: has {path.stat().st_size:,} bytes, and {PREDICTIONS_MAX_BYTES:,} are allowed")
    return read_array(path)


def read_scores(path: Path) -> dict[str, float]:
    """Return the numbers by name that a program has left; none where the file is absent or holds none."""
    try:
        return read_numbers(read_regular(path, RESULT_MAX_BYTES))
    except OSError:
        return {}


def array_bytes(values: np.ndarray) -> bytes:
    """Return the .npy file of an array."""
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()


def _settle_labels(finished: Finished, content: bytes) -> str:
    """Write the study's labels, or compare with those that are there; return their digest.

    Labels that no finished run of the plan was tested on are left from earlier data, and replaced.

    Raises:
        NondetError: If finished runs were tested on others.
    """
    study, digest = finished.study, hashlib.sha256(content).hexdigest()
    if patiently(lambda: create_file(study.labels, content)):
        return digest
    known = hashlib.sha256(read_regular(study.labels, LABELS_MAX_BYTES)).hexdigest()
    if known == digest:
        return digest
    others = (read_result(study.run(run)) for run in finished.plan.order if run != finished.run_id)
    if any(result is not None and result.labels_sha256 == known for result in others):
        raise NondetError(
            f"its labels are not those of the runs before it (SHA-256 {digest[:12]}… instead of {known[:12]}…): the "
            "test examples must be the same, in the same order, in every run: look for a test loader that shuffles, a "
            "split that depends on a seed, or classes numbered from a set"
        )
    patiently(lambda: write_bytes(study.labels, content))
    return digest


def _write(
    finished: Finished,
    predictions: bytes,
    labels_sha256: str,
    scores: dict[str, float],
    *,
    diverged: bool,
    accuracy: float | None,
    cross_entropy: float | None,
) -> None:
    run = finished.study.run(finished.run_id)
    epochs = max(1, finished.epochs)
    result = ResultRecord(
        run=finished.run_id,
        attempt=finished.attempt.number,
        epochs=epochs,
        test_accuracy=accuracy,
        test_cross_entropy=cross_entropy,
        diverged=diverged,
        diverged_epoch=epochs if diverged else None,
        bit=None,
        weights_sha256=None,
        predictions_sha256=hashlib.sha256(predictions).hexdigest(),
        labels_sha256=labels_sha256,
        seconds=finished.seconds,
        finished=tell_time(),
        scores={name: value for name, value in scores.items() if math.isfinite(value)},
        resumption=finished.resumption,
    )
    write_run(finished.attempt, {run.predictions: predictions, run.result: encode_record(result)})
