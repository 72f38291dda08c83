"""The replicas of an arm as they are in the study folder, damaged ones included.

No file stays open or mapped: a study may have more runs than a process may have open files. Predictions are compared
with their digests when a process first sees them, and read again when an arm is measured.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import StudyError
from engine.metrics.arrays import ArrayHeader, read_content, read_header, read_rows
from engine.metrics.checked import Checked, Look, Seen, describe_look, look_at
from engine.metrics.logits import HELD_BYTES, WHOLE, Logits
from engine.metrics.outputs import are_logits
from engine.study.files import refuse_exhaustion
from engine.study.opening import is_there, open_regular, refuse_size
from engine.study.paths import LABELS_MAX_BYTES, PREDICTIONS_MAX_BYTES, RunPaths, StudyPaths
from engine.study.records import Damage, find_record, read_record
from engine.study.run_records import ResultRecord, compare_digests, note_damage

TEXT_FIELDS = ("argmax", "log_probability")
"""The fields of the predictions of language models."""


@dataclass(frozen=True)
class Labels:
    """The study's true classes or words."""

    values: np.ndarray
    """int (N,)."""
    sha256: str
    """The digest of their file."""


@dataclass(frozen=True)
class Predictions:
    """One run's predictions, or the mean of several runs': where they are, read when they are needed."""

    files: tuple[Path, ...]
    shape: tuple[int, ...]
    """(N, C) of logits, (N,) of words."""
    dtype: np.dtype
    """float32 of logits, TEXT_FIELDS of words."""

    def read(self, rows: slice = WHOLE) -> np.ndarray:
        """Read the predictions for a slice of the examples; of several files the mean, as the published code averages.

        Source: paper, section 5.

        Raises:
            StudyError: If a file is no longer what it was when it was first looked at.
        """
        arrays = [self._read(path, rows) for path in self.files]
        if len(arrays) == 1:
            return arrays[0]
        total = np.sum(np.stack(arrays), axis=0, dtype=np.float64)
        return np.asarray(total / len(arrays), dtype=np.float32)

    def _read(self, path: Path, rows: slice) -> np.ndarray:
        try:
            with open_regular(path) as (descriptor, status):
                header = read_header(descriptor, status.st_size)
                if (header.shape, header.dtype) != (self.shape, self.dtype):
                    raise ValueError(f"holds {header.dtype} {header.shape}, not {self.dtype} {self.shape}")
                return read_rows(descriptor, header, status.st_size, rows)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                refuse_exhaustion(error, path)
            raise StudyError(f"{path}: changed while it was measured ({error}): run the same command again") from error


@dataclass(frozen=True)
class Replica:
    """One finished run, or what is wrong with it."""

    run: str
    fault: str | None = None
    """Why its predictions cannot be used."""
    diverged: bool = False
    finite: bool = True
    """Whether all of its predictions are numbers."""
    weights_sha256: str | None = None
    predictions: Predictions | None = None
    sha256: str = ""
    """The digest of the predictions; that of an ensemble stands for those of all its members."""
    result: ResultRecord | None = None
    """What the run left, where its predictions can be used."""


def read_labels(path: Path) -> Labels | str:
    """Read the study's labels, int64 (N,), or say what is wrong with them.

    Raises:
        StudyError: If the process has too many files open to look.
    """
    try:
        with open_regular(path) as (descriptor, status):
            refuse_size(path, status.st_size, LABELS_MAX_BYTES)
            header = read_header(descriptor, status.st_size)
            if len(header.shape) != 1 or not header.shape[0] or not np.issubdtype(header.dtype, np.integer):
                return f"labels.npy holds {header.dtype} {header.shape}, not whole numbers (N,)"
            content = read_content(descriptor, status.st_size)
    except FileNotFoundError:
        return "labels.npy is missing; the next run that is trained writes it anew"
    except OSError as error:
        refuse_exhaustion(error, path)
        return f"labels.npy is damaged ({error.strerror})"
    except ValueError as error:
        return f"labels.npy is damaged (it {error})"
    return Labels(header.read_values(content), hashlib.sha256(content).hexdigest())


def read_replica(paths: StudyPaths, run_id: str, labels: Labels | str, seen: Seen) -> Replica | None:
    """Look at a run's predictions; None where it has not finished, a fault where something is wrong with them.

    Without usable labels there is nothing to compare predictions with, and none are read.

    Args:
        paths: The study.
        run_id: The run.
        labels: The study's, or what is wrong with them.
        seen: Predictions that were compared with their digests before; extended here.

    Raises:
        StudyError: If the process has too many files open to look.
    """
    run = paths.run(run_id)
    result = read_record(run.result, ResultRecord)
    if result is None:
        return None
    if isinstance(result, Damage):
        return Replica(run_id, fault=f"{run.result.name} {result.reason}")
    if isinstance(labels, str):
        return Replica(run_id)
    checked = _check(run, result, labels, seen)
    if isinstance(checked, str):
        return Replica(run_id, fault=checked)
    seen[run_id] = checked
    return Replica(
        run_id,
        diverged=result.diverged,
        finite=checked.finite,
        weights_sha256=result.weights_sha256,
        predictions=Predictions((run.predictions,), checked.shape, checked.dtype),
        sha256=checked.sha256,
        result=result,
    )


class ReplicaReader:
    """Reads the replicas of a study, each once, and those whose bytes are about to be used once more."""

    def __init__(self, paths: StudyPaths, labels: Labels | str, seen: Seen) -> None:
        """Begin with the predictions that were compared with their digests before; `seen` is extended."""
        self.paths = paths
        self.labels = labels
        self.seen = seen
        self.remembered = dict(seen)
        """Predictions that are taken for compared because their files have the size and times that they had then."""
        self.replicas: dict[str, Replica | None] = {}

    def look(self, runs: Sequence[str]) -> Mapping[str, Replica | None]:
        """Return the replicas of all runs so far, these among them; see `read_replica`."""
        for run in runs:
            if run not in self.replicas:
                self.replicas[run] = read_replica(self.paths, run, self.labels, self.seen)
        return self.replicas

    def check(self, runs: Sequence[str]) -> Mapping[str, Replica | None]:
        """Compare the bytes of runs that `look` has taken on trust, and return the replicas of all runs so far."""
        for run in runs:
            if run in self.seen and self.seen[run] is self.remembered.pop(run, None):
                del self.seen[run]
                self.replicas[run] = read_replica(self.paths, run, self.labels, self.seen)
        return self.replicas


def note_lost_labels(paths: StudyPaths, replicas: Mapping[str, Replica | None], labels: Labels | str) -> None:
    """Mark one finished run as damaged where labels.npy is not the file of any: training it again writes the labels.

    Args:
        paths: The study.
        replicas: The replica of each run id, None for runs that have not finished.
        labels: The study's, or what is wrong with them.
    """
    if any(replica is not None and replica.predictions is not None for replica in replicas.values()):
        return
    results = {run: find_record(paths.run(run).result, ResultRecord) for run, replica in replicas.items() if replica}
    found = {run: result for run, result in results.items() if result is not None}
    if not isinstance(labels, str) and any(result.labels_sha256 == labels.sha256 for result in found.values()):
        return
    if found and not any(is_there(paths.run(run).damage) for run in found):
        run, result = next(iter(found.items()))
        note_damage(paths.run(run), result, "labels.npy is missing or damaged: this run, trained again, writes it anew")


def _check(run: RunPaths, result: ResultRecord, labels: Labels, seen: Seen) -> Checked | str:
    """Compare a run's predictions with their digest, unless that was done and the file is as it was then."""
    known = seen.get(run.folder.name)
    try:
        if known is None or (known.look, known.sha256) != (look_at(run.predictions), result.predictions_sha256):
            known = _read_checked(run, result, labels)
    except FileNotFoundError:
        return "predictions.npy is missing"
    except OSError as error:
        refuse_exhaustion(error, run.predictions)
        return f"predictions.npy is damaged ({error.strerror})"
    if isinstance(known, str):
        return known
    return _find_misfit(known.shape, known.dtype, result, labels) or _find_nonfinite(known, result) or known


def _read_checked(run: RunPaths, result: ResultRecord, labels: Labels) -> Checked | str:
    """Read a run's predictions and compare them with their digest; those of other labels are digested, and not kept.

    Raises:
        OSError: If they cannot be read.
    """
    name, expected = run.predictions.name, result.predictions_sha256
    with open_regular(run.predictions) as (descriptor, status):
        size = status.st_size
        refuse_size(run.predictions, size, PREDICTIONS_MAX_BYTES)
        try:
            header = read_header(descriptor, size)
            misfit = _find_misfit(header.shape, header.dtype, result, labels)
            content = None if misfit else read_content(descriptor, size)
        except ValueError as error:
            fault = f"{name} is damaged: it {error}"
        else:
            found = _digest(descriptor) if content is None else hashlib.sha256(content).hexdigest()
            fault = compare_digests(name, found, expected)
            if fault is None:
                return misfit or _describe(header, content or b"", describe_look(status), expected)
    note_damage(run, result, fault)
    return fault


def _digest(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(header: ArrayHeader, content: bytes, look: Look, sha256: str) -> Checked:
    return Checked(look, sha256, header.shape, header.dtype, is_finite(header.read_values(content)))


def _find_misfit(shape: tuple[int, ...], dtype: np.dtype, result: ResultRecord, labels: Labels) -> str | None:
    """Say why predictions are none for the study's test examples; None where they are."""
    if result.labels_sha256 != labels.sha256:
        return "was tested on other labels than labels.npy holds"
    examples = len(labels.values)
    words = dtype.names == TEXT_FIELDS and shape == (examples,)
    logits = len(shape) == 2 and shape[0] == examples and shape[1] > 0 and dtype == np.float32
    classes = shape == (examples,) and dtype == np.int32
    if not words and not logits and not classes:
        return f"predictions.npy holds {dtype} {shape}, not float32 ({examples}, C)"
    return None


def _find_nonfinite(checked: Checked, result: ResultRecord) -> str | None:
    """Say that a run which did not diverge has predictions that are no numbers; None where it has not."""
    if not checked.finite and not result.diverged:
        return "predictions.npy holds values that are not finite"
    return None


def average_groups(members: list[Replica | None], size: int) -> list[Replica]:
    """Form ensembles of `size` runs each, in order, none in two: the mean of their logits stands for a replica.

    A group counts once all of its members can be used.

    Source: paper, section 5; the published code averages logits.
    """
    ensembles: list[Replica] = []
    for start in range(0, len(members) - size + 1, size):
        group = [member for member in members[start : start + size] if member is not None]
        usable = [member.predictions for member in find_usable(group) if member.predictions is not None]
        if len(usable) == size and len({part.shape for part in usable}) == 1:
            files = tuple(file for part in usable for file in part.files)
            ensembles.append(
                Replica(
                    "+".join(member.run for member in group),
                    predictions=Predictions(files, usable[0].shape, usable[0].dtype),
                    sha256=digest_all(group),
                )
            )
    return ensembles


def digest_all(replicas: Sequence[Replica]) -> str:
    """Digest the predictions of some replicas, in order: equal where all of them are."""
    return hashlib.sha256(" ".join(replica.sha256 for replica in replicas).encode()).hexdigest()


def stack_predictions(predictions: Sequence[Predictions]) -> np.ndarray:
    """Read the predictions of some replicas into one array, a file at a time.

    Args:
        predictions: At least one, all of one shape and type.

    Returns:
        (R, N, C) logits, or (R, N) words.
    """
    first = predictions[0]
    stacked = np.empty((len(predictions), *first.shape), dtype=first.dtype)
    for place, part in zip(stacked, predictions, strict=True):
        place[...] = part.read()
    return stacked


def open_logits(predictions: Sequence[Predictions]) -> Logits:
    """Return the logits of some replicas: in memory where they are not many, else as files that are read in blocks.

    Args:
        predictions: At least one, all of one shape and of type float32.
    """
    first = predictions[0]
    examples, classes = first.shape
    if len(predictions) * examples * classes * first.dtype.itemsize <= HELD_BYTES:
        return Logits.of_array(stack_predictions(predictions))
    shape = len(predictions), examples, classes
    return Logits(shape, first.dtype, lambda replica, rows: predictions[replica].read(rows))


def is_finite(predictions: np.ndarray) -> bool:
    """Tell whether all predictions are numbers; see `are_logits` for those of images."""
    if predictions.dtype.names == TEXT_FIELDS:
        values = predictions["log_probability"]
        return values.dtype.kind == "f" and bool(np.isfinite(values).all())
    if predictions.ndim == 1:  # classes, from 0
        return predictions.dtype.kind == "i" and bool((predictions >= 0).all())
    return predictions.dtype.kind == "f" and are_logits(predictions)


def find_usable(replicas: Sequence[Replica]) -> list[Replica]:
    """Find the replicas that measures are over: neither damaged nor diverged to values that are not finite."""
    return [replica for replica in replicas if replica.predictions is not None and replica.finite]
