"""The curves of single replicas: each line read once, attempts that begin again, and which replica lies outside."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.study import replica_curves
from engine.study.epochs import append_epoch, read_epochs
from engine.study.files import make_folder
from engine.study.replica_curves import ReplicaCurves, find_outliers
from engine.study.view import StudyView
from tests.helpers.large_store import Size, name_run, write_large_study
from tests.helpers.records import make_epoch


def test_lines_are_those_of_the_files_and_what_is_new_is_added(tmp_path: Path) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=4, epochs=6, done=2, running=1))
    view, curves = StudyView(paths), ReplicaCurves(paths)
    found = curves.read(view.refresh().arms[0].runs)
    assert set(found) == {"accuracy", "cross-entropy"}
    records = [read_epochs(paths.run(name_run(0, n)).attempt(1).epochs).records for n in range(4)]
    assert found["accuracy"] == tuple(tuple(one.test_accuracy for one in of) for of in records)
    assert [len(line) for line in found["accuracy"]] == [6, 6, 3, 0]
    append_epoch(paths.run(name_run(0, 2)).attempt(1).epochs, make_epoch(4, test_accuracy=12.5))
    assert curves.read(view.refresh().arms[0].runs)["accuracy"][2][3:] == (12.5,)


def test_run_that_begins_again_has_its_new_curve_alone(tmp_path: Path) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=2, epochs=6, done=0, running=1))
    view, curves = StudyView(paths), ReplicaCurves(paths)
    assert len(curves.read(view.refresh().arms[0].runs)["accuracy"][0]) == 3
    again = paths.run(name_run(0, 0)).attempt(2)
    make_folder(again.folder)
    append_epoch(again.epochs, make_epoch(1, test_accuracy=50.0, test_cross_entropy=math.nan))
    found = curves.read(view.refresh().arms[0].runs)
    assert found["accuracy"][0] == (50.0,)
    assert "cross-entropy" not in found, "nothing of it is finite"


def test_finished_runs_are_read_once_and_those_of_arms_long_left_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_large_study(tmp_path / "one", Size(arms=2, replicas=3, epochs=2, done=3))
    arms, curves = StudyView(paths).refresh().arms, ReplicaCurves(paths)
    read: list[Path] = []
    original = replica_curves.read_epochs
    monkeypatch.setattr(
        replica_curves, "read_epochs", lambda path, **options: read.append(path) or original(path, **options)
    )
    monkeypatch.setattr(replica_curves, "KEPT_RUNS", 4)
    curves.read(arms[0].runs)
    curves.read(arms[0].runs)
    assert len(read) == 3
    curves.read(arms[1].runs)
    curves.read(arms[1].runs)
    assert len(read) == 6
    assert curves.read(arms[0].runs)["accuracy"]
    assert len(read) > 6


def test_outlier_is_the_replica_far_from_all_others() -> None:
    values = [96.8, 97.1, None, 97.0, 91.2, 96.9, 97.2, 99.9]
    assert find_outliers(values) == [4, 7]
    assert find_outliers([1.0, 1.0, 9.0, 1.0]) == [], "of four none can be told"
    assert find_outliers([1.0] * 9) == []
    assert find_outliers([]) == []


@given(st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=30))
@example([0.0, 0.0, 1.0, 1.0, 2.225e-311])
def test_outliers_have_the_modified_score_of_iglewicz_and_hoaglin(values: list[float]) -> None:
    array = np.array(values)
    distances = np.abs(array - np.median(array))
    unit = np.median(distances)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scores = 0.6745 * distances / unit
    wanted = set(np.flatnonzero(scores > 3.5 * (1 + 1e-9)).tolist()) if unit > 1e-9 else set()
    near = set(np.flatnonzero(np.abs(scores - 3.5) < 1e-6).tolist()) if unit > 1e-9 else set(range(len(values)))
    assert wanted <= set(find_outliers(values)) <= wanted | near
