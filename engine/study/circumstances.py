"""Reads what the runs of an arm were trained with beside their recipes: devices, versions, variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_records import AttemptRecord
from engine.study.run_state import find_result

Circumstances = dict[str, Counter[str]]
"""What is recorded → each value with the number of runs that have it; a value that plays no part is empty."""


def read_circumstances(paths: StudyPaths, runs: Iterable[str]) -> Circumstances:
    """Read with what the finished ones of some runs were trained; those that nobody recorded are left out."""
    found: Circumstances = {}
    for run in dict.fromkeys(runs):
        result = find_result(paths.run(run)).result
        attempt = None if result is None else find_record(paths.run(run).attempt(result.attempt).attempt, AttemptRecord)
        for name, value in () if attempt is None else _list_values(attempt):
            found.setdefault(name, Counter())[value] += 1
    return found


def _list_values(attempt: AttemptRecord) -> Iterator[tuple[str, str]]:
    versions = attempt.versions
    yield "device", attempt.device
    yield "torch", versions.torch or ""
    yield "numpy", versions.numpy or ""
    yield "python", versions.python
    yield "CUDA", versions.cuda or ""
    yield "cuDNN", "" if versions.cudnn is None else str(versions.cudnn)
    yield "processor", attempt.cpu_capability
    for name, value in sorted(attempt.environment.items()):
        yield name, value or ""
    for name, value in sorted(attempt.packages.items()):
        yield name, value
