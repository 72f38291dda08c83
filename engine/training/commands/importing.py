"""Makes a study of predictions that are there already: its runs are finished, and have no recipe."""

from __future__ import annotations

import hashlib
import math
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np

from engine.errors import NondetError, StudyError
from engine.plan.records import PlannedArm
from engine.recipe import ID_LENGTH, MAX_EPOCHS, MAX_REPLICAS
from engine.study.choices import NOTHING
from engine.study.epochs import EpochRecord, format_epoch
from engine.study.files import make_folder, write_bytes
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.run_records import ResultRecord, tell_time
from engine.study.study_plan import DispatchSettings, MeasuringSettings, ProtocolOrigin, Provenance, StudyPlan
from engine.training.commands.arrays import LABELS, read_array
from engine.training.commands.outcome import array_bytes
from engine.training.commands.predictions import take_labels, take_predictions
from engine.training.commands.reports import KNOWN, MAX_SCORES
from engine.training.commands.sources import find_labels, iterate_replicas
from engine.training.commands.tables import Steps, find_last, read_scalars

UNKNOWN = ("unknown",)
"""What varies between replicas of which nothing but predictions is known."""

BOOTSTRAP = 10_000


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Says what is to be imported, and where to."""

    folder: str
    """The study's, which must not be there yet."""
    arms: dict[str, str]
    """Name → file or folder."""
    kind: str = "logits"
    labels: str | None = None


@dataclass(frozen=True)
class Imported:
    """One run of an import."""

    run: str
    epochs: int


def answer_request() -> int:
    """Read a request on standard input, and import what it names."""
    import_study(msgspec.json.decode(sys.stdin.buffer.read(), type=ImportRequest))
    return 0


def import_study(request: ImportRequest) -> None:
    """Write a study of predictions that are there already.

    Raises:
        NondetError: If something cannot be read, does not fit, or the study is there; nothing is left behind then.
    """
    paths = StudyPaths(Path(request.folder))
    if paths.folder.exists():
        raise StudyError(f"{paths.folder}: is there already: choose another name, or remove it")
    make_folder(paths.runs)
    try:
        arms = _import_scores(paths, request) if request.kind == "scores" else _import_predictions(paths, request)
        write_record(paths.plan, _make_plan(paths, request, arms))
    except BaseException:
        shutil.rmtree(paths.folder, ignore_errors=True)
        raise


def _import_predictions(paths: StudyPaths, request: ImportRequest) -> dict[str, list[Imported]]:
    labels = _read_labels(request)
    content = array_bytes(labels)
    write_bytes(paths.labels, content)
    digest = hashlib.sha256(content).hexdigest()
    shapes: dict[tuple[int, ...], str] = {}
    arms: dict[str, list[Imported]] = {name: [] for name in request.arms}
    for name, place in request.arms.items():
        for source, values in iterate_replicas(Path(place), request.kind):
            taken = take_predictions(values, labels, request.kind, source)
            shapes.setdefault(taken.values.shape, source)
            if len(shapes) > 1:
                (one, first), (other, second) = shapes.items()
                raise NondetError(f"{second}: has shape {other}, and {first} has {one}: all runs need the same classes")
            result = _make_result(accuracy=taken.accuracy, cross_entropy=taken.cross_entropy, labels_sha256=digest)
            if not taken.finite:
                result = msgspec.structs.replace(result, diverged=True, diverged_epoch=1)
            run = _write_run(paths, f"{name} {len(arms[name])}", array_bytes(taken.values), result)
            arms[name].append(Imported(run, 1))
    return arms


def _read_labels(request: ImportRequest) -> np.ndarray:
    file = None if request.labels is None else Path(request.labels)
    if file is None:
        file = next((found for place in request.arms.values() if (found := find_labels(Path(place))) is not None), None)
    if file is None:
        raise NondetError(
            "the true classes are missing: name their file with --labels, or lay a labels.npy beside the runs"
        )
    return take_labels(read_array(file, LABELS), str(file))


def _import_scores(paths: StudyPaths, request: ImportRequest) -> dict[str, list[Imported]]:
    arms: dict[str, list[Imported]] = {name: [] for name in request.arms}
    for name, place in request.arms.items():
        for run_name, steps in read_scalars(Path(place)).items():
            last = find_last(steps)
            if not last:
                raise NondetError(f"{place}: run {run_name} holds no numbers")
            values = np.array([last[key] for key in sorted(last)], dtype=np.float64)
            scores = {name: value for name, value in last.items() if math.isfinite(value)}
            lines = list(_make_epochs(steps))
            result = msgspec.structs.replace(_make_result(), scores=scores, epochs=max(1, len(lines)))
            if len(scores) < len(last):
                result = msgspec.structs.replace(result, diverged=True, diverged_epoch=result.epochs)
            run = _write_run(paths, f"{name} {len(arms[name])}", array_bytes(values), result)
            if len(lines) > 1:
                make_folder(paths.run(run).attempt(1).folder)
                write_bytes(paths.run(run).attempt(1).epochs, b"".join(lines))
            arms[name].append(Imported(run, result.epochs))
    return arms


def _make_epochs(steps: Steps) -> Iterator[bytes]:
    """Yield a line of epochs.jsonl for each step that was logged, in order; of very many, the first."""
    for number, step in enumerate(sorted(steps)[:MAX_EPOCHS], start=1):
        figures = {name: value for name, value in steps[step].items() if math.isfinite(value)}
        known = {KNOWN[name]: value for name, value in figures.items() if name in KNOWN}
        others = {name: value for name, value in figures.items() if name not in KNOWN}
        yield format_epoch(
            EpochRecord(
                epoch=number,
                train_loss=known.get("train_loss"),
                test_accuracy=known.get("test_accuracy"),
                test_cross_entropy=known.get("test_cross_entropy"),
                lr=known.get("lr"),
                seconds=0.0,
                scores=dict(list(others.items())[:MAX_SCORES]),
            )
        )


def _make_result(
    *, accuracy: float | None = None, cross_entropy: float | None = None, labels_sha256: str = ""
) -> ResultRecord:
    return ResultRecord(
        run="",
        attempt=1,
        epochs=1,
        test_accuracy=accuracy,
        test_cross_entropy=cross_entropy,
        diverged=False,
        diverged_epoch=None,
        bit=None,
        weights_sha256=None,
        predictions_sha256="",
        labels_sha256=labels_sha256,
        seconds=0.0,
        finished=tell_time(),
    )


def _write_run(paths: StudyPaths, place: str, predictions: bytes, result: ResultRecord) -> str:
    """Write a finished run; return its id, which stands for its place and its predictions."""
    digest = hashlib.sha256(predictions).hexdigest()
    run_id = hashlib.sha256(f"{place} {digest}".encode()).hexdigest()[:ID_LENGTH]
    run = paths.run(run_id)
    make_folder(run.folder)
    write_bytes(run.predictions, predictions)
    write_record(run.result, msgspec.structs.replace(result, run=run_id, predictions_sha256=digest))
    return run_id


def _make_plan(paths: StudyPaths, request: ImportRequest, arms: dict[str, list[Imported]]) -> StudyPlan:
    for name, runs in arms.items():
        if not 0 < len(runs) <= MAX_REPLICAS:
            raise NondetError(f"{request.arms[name]}: holds {len(runs):,} runs, and 1 to {MAX_REPLICAS:,} are allowed")
    versions = {"nondet-tui": metadata.version("nondet-tui"), "python": platform.python_version()}
    return StudyPlan(
        study=paths.name,
        device="cpu",
        text=False,
        own_process=False,
        created=tell_time(),
        protocol=ProtocolOrigin(file=" ".join(request.arms.values()), overrides=()),
        data_root="",
        search_path=(),
        dispatch=DispatchSettings(
            executor="local",
            devices="cpu",
            slots_per_device=1,
            keep_weights=False,
            checkpoint_s=0.0,
            graphs=False,
            chosen=NOTHING,
        ),
        metrics=MeasuringSettings(cka=False, cka_examples=0, bootstrap=BOOTSTRAP),
        reference=None,
        provenance=Provenance(
            versions=versions, git_commit=None, machine=platform.machine(), host=platform.node(), gpus=()
        ),
        arms=tuple(
            PlannedArm(
                name=name,
                vary=UNKNOWN,
                runs=tuple(one.run for one in runs),
                empty={},
                group=1,
                onset=None,
                crossed=(),
            )
            for name, runs in arms.items()
        ),
        order=tuple(one.run for runs in arms.values() for one in runs),
        epochs={one.run: one.epochs for runs in arms.values() for one in runs},
        forks={},
        reuses={},
        packs={},
        kind=request.kind,
        origin="import",
    )
