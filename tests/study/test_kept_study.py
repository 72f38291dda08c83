"""A study of the first kept format: every later version opens it, measures it and reports it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.study.curves_record import find_curves
from engine.study.metrics_record import find_metrics
from engine.study.paths import StudyPaths
from engine.study.records import Record, encode_record, read_record
from engine.study.run_records import AttemptRecord, ResultRecord, SpecRecord, read_recipe
from engine.study.similarity_record import StudySimilarity, find_similarity
from engine.study.study_plan import StudyPlan
from engine.study.supervisor_record import SupervisorRecord
from engine.study.view import StudyView
from tui import cli

KEPT = Path(__file__).parent / "kept"
RECORDS: dict[str, type[Record]] = {
    "plan.json": StudyPlan,
    "supervisor.json": SupervisorRecord,
    "cka.json": StudySimilarity,
    "spec.json": SpecRecord,
    "result.json": ResultRecord,
    "attempt.json": AttemptRecord,
}


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    shutil.copytree(KEPT, tmp_path / "kept")
    return StudyPaths(tmp_path / "kept")


def test_study_opens_with_every_run_done(paths: StudyPaths) -> None:
    snapshot = StudyView(paths).refresh()
    assert snapshot.state == "done"
    assert snapshot.counts == {"done": 13}
    assert [len(arm.runs) for arm in snapshot.arms] == [3, 3, 3, 4, 3]
    assert all(run.trained == 3 and not run.bad_lines for run in snapshot.runs.values())


def test_every_recipe_has_the_id_that_it_had(paths: StudyPaths) -> None:
    for run in StudyView(paths).plan.order:
        assert read_recipe(paths.run(run), run).id == run


def without_nulls(content: Any) -> Any:
    """Leave out what has no value: a later version has fields more, which an earlier file has not."""
    if isinstance(content, dict):
        return {key: without_nulls(value) for key, value in content.items() if value is not None}
    return [without_nulls(one) for one in content] if isinstance(content, list) else content


@pytest.mark.parametrize("name", RECORDS)
def test_records_say_what_their_files_say(paths: StudyPaths, name: str) -> None:
    files = list(paths.folder.rglob(name))
    assert files
    for file in files:
        found = read_record(file, RECORDS[name])
        assert isinstance(found, RECORDS[name]), found
        assert without_nulls(json.loads(encode_record(found))) == without_nulls(json.loads(file.read_text()))


@pytest.mark.slow
def test_measures_made_anew_are_those_that_were_written(paths: StudyPaths) -> None:
    written, curves, layers = find_metrics(paths.metrics), find_curves(paths.curves), find_similarity(paths.cka)
    assert written is not None
    assert [arm.name for arm in curves] == [arm.name for arm in written.arms]
    assert len(layers) == len(written.arms)
    for file in (paths.metrics, paths.curves, paths.checked):
        file.unlink()
    assert cli.main(["report", str(paths.folder)]) == 0
    anew = json.loads(paths.metrics.read_text())
    assert_close(anew, json.loads((KEPT / "metrics.json").read_text()))
    assert_close(json.loads(paths.curves.read_text()), json.loads((KEPT / "curves.json").read_text()))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["table", "markdown", "latex", "csv", "json"])
def test_study_is_reported_in_every_format(paths: StudyPaths, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(paths.folder), "--format", form]) == 0
    assert "Late shuffling" in capsys.readouterr().out


def assert_close(found: Any, expected: Any, *, is_grid: bool = False) -> None:
    """Compare JSON: the same keys and texts, and numbers that differ in rounding at most.

    Values and their errors stay what they were; a crossed grid may have none, as its runs are no independent replicas.
    Intervals may be made by a method that covers better: they are there where they were.
    """
    if isinstance(expected, dict):
        assert found.keys() >= expected.keys(), "later versions may add measures and take none away"
        is_grid = is_grid or bool(expected.get("crossed"))
        for key, value in expected.items():
            is_interval = key == "ci" or key.endswith("_ci")
            if is_grid and (is_interval or key.endswith("error")) and found[key] is None:
                continue
            if is_interval:
                assert_interval(found[key], value)
            else:
                assert_close(found[key], value, is_grid=is_grid)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, is_grid=is_grid)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    else:
        assert found == expected


def assert_interval(found: Any, expected: Any) -> None:
    """Compare two intervals of one estimate: none where there was none, else two ends in order, with a common part."""
    assert (found is None) == (expected is None)
    if found is not None:
        (low, high), (earlier_low, earlier_high) = found, expected
        assert low <= high
        assert max(low, earlier_low) <= min(high, earlier_high) + 1e-9
