"""Counts the models of device that an arm's runs were trained on: they round differently, which adds to a spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_records import AttemptRecord, ResultRecord
from engine.study.run_state import read_result


def count_devices(
    paths: StudyPaths, runs: Iterable[str], results: Mapping[str, ResultRecord] | None = None
) -> dict[str, int]:
    """Count the finished runs of an arm by the model of device that they were trained on, the most frequent first.

    Args:
        paths: The study.
        runs: Those of the arm.
        results: Those that were read already; read from the study where not given.
    """
    found = Counter[str]()
    for run in dict.fromkeys(runs):
        result = read_result(paths.run(run)) if results is None else results.get(run)
        attempt = None if result is None else find_record(paths.run(run).attempt(result.attempt).attempt, AttemptRecord)
        if attempt is not None and attempt.model is not None:
            found[attempt.model] += 1
    return dict(found.most_common())
