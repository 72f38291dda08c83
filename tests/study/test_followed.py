"""Curves are added up as they are read: the same figures as from all records at once, and nothing kept of each."""

from __future__ import annotations

import statistics
import tracemalloc
from pathlib import Path

import pytest

from engine.metrics.curves import measure_curves
from engine.study.curves_record import FIELDS, ArmCurves
from engine.study.epochs import append_epoch, read_epochs
from engine.study.files import make_folder
from engine.study.parting import Parting, Partings
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.snapshot import ArmView
from engine.study.study_plan import read_plan
from engine.study.view import StudyView
from tests.helpers.large_store import Size, name_run, write_large_study
from tests.helpers.records import make_arm, make_attempt, make_epoch, make_result, make_study
from tests.helpers.studies import write_digests, write_study


def know(paths: StudyPaths) -> dict[str, ArmCurves]:
    return {arm.name: arm for arm in measure_curves(paths, read_plan(paths), None).arms}


def check_series(paths: StudyPaths, arm: ArmView, *, attempts: dict[str, int] | None = None) -> None:
    """Compare an arm with all records of its runs at once."""
    assert arm.series is not None
    by_epoch: dict[int, list[float]] = {}
    for run in arm.runs:
        attempt = (attempts or {}).get(run.id, 1)
        for record in read_epochs(paths.run(run.id).attempt(attempt).epochs).records:
            assert record.test_accuracy is not None
            by_epoch.setdefault(record.epoch, []).append(record.test_accuracy)
    for epoch, values in by_epoch.items():
        found = arm.series.at("accuracy", epoch)
        assert found is not None
        assert (found.n, found.low, found.high) == (len(values), min(values), max(values))
        assert found.mean == pytest.approx(statistics.fmean(values))
        assert found.sd == pytest.approx(statistics.pstdev(values), abs=1e-6)
    assert len(arm.series.sums["accuracy"]) == max(by_epoch)


@pytest.mark.parametrize("known", [False, True])
def test_series_are_those_of_all_records(tmp_path: Path, known: bool) -> None:
    paths = write_large_study(tmp_path / "one", Size(arms=2, replicas=7, epochs=6, done=4, running=2))
    view = StudyView(paths, measures=tuple(FIELDS), known=know(paths) if known else None)
    for arm in view.refresh().arms:
        check_series(paths, arm)
    append_epoch(paths.run(name_run(1, 5)).attempt(1).epochs, make_epoch(4, test_accuracy=12.5))
    for arm in view.refresh().arms:
        check_series(paths, arm)


@pytest.mark.parametrize("known", [False, True])
def test_run_that_starts_again_is_counted_once(tmp_path: Path, known: bool) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=5, epochs=6, done=3, running=2))
    view = StudyView(paths, known=know(paths) if known else None)
    view.refresh()
    run = name_run(0, 3)
    again = paths.run(run).attempt(2)
    make_folder(again.folder)
    write_record(again.attempt, make_attempt())
    append_epoch(again.epochs, make_epoch(1, test_accuracy=50.0))
    arm = view.refresh().arms[0]
    assert {one.id: one.trained for one in arm.runs}[run] == 1
    check_series(paths, arm, attempts={run: 2})


def test_curves_of_runs_that_are_no_longer_done_are_not_taken_from_the_file(tmp_path: Path) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=4, epochs=3, done=4))
    known = know(paths)
    paths.run(name_run(0, 2)).result.unlink()
    check_series(paths, StudyView(paths, known=known).refresh().arms[0])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_epochs_of_single_runs(tmp_path: Path) -> None:
    """What is kept is told by arms and epochs: with twenty times the replicas there is hardly more of it."""
    kept: list[int] = []
    for number, replicas in enumerate((5, 100)):
        paths = write_large_study(tmp_path / str(number), Size(replicas=replicas, epochs=400, done=replicas))
        tracemalloc.start()
        view = StudyView(paths, measures=tuple(FIELDS))
        snapshot = view.refresh()
        kept.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert snapshot.runs[name_run(0, replicas - 1)].trained == 400
    few, many = kept
    beside = 8 * 400  # a control's run keeps a place for the digest of each epoch, and shares the digests
    assert many - few < 95 * (5_000 + beside), "a run's own 400 epochs would take 120 kB"


def test_control_whose_replicas_part_is_seen_while_it_is_trained(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path / "one")
    arms = [make_arm("Control", ["a", "b", "c"]), make_arm("Init", ["a", "d"], vary=("init",))]
    make_folder(paths.folder)
    write_record(paths.plan, make_study(arms))
    files = {run: paths.run(run).attempt(1) for run in "abcd"}
    for attempt in files.values():
        make_folder(attempt.folder)
        write_record(attempt.attempt, make_attempt())
    view = StudyView(paths)

    def add(epoch: int, **weights: str | None) -> None:
        for run, one in weights.items():
            append_epoch(files[run].epochs, make_epoch(epoch, weights=one, start="s" if epoch == 1 else None))

    def look() -> list[Partings | None]:
        return [arm.partings for arm in view.refresh().arms]

    add(1, a="x", b="x", c="x", d="y")
    control, init = look()
    assert control is not None
    assert (control.epochs, control.equal, init) == ({}, 3, None)
    add(2, a="x", b="x", c="z")
    control, _ = look()
    assert control is not None
    assert (control.epochs, control.first) == ({2: 2}, Parting(replicas=(1, 3), epoch=2))
    # A run that starts again counts from its beginning, and one whose file has lost a digest is unknown.
    files["c"] = paths.run("c").attempt(2)
    make_folder(files["c"].folder)
    write_record(files["c"].attempt, make_attempt())
    add(1, c="x")
    add(3, b=None)
    control, _ = look()
    assert control is not None
    assert (control.epochs, control.equal, control.unknown) == ({}, 1, (2,))


@pytest.mark.parametrize("broken", [False, True])
def test_control_that_is_measured_is_read_again_where_its_replicas_differ(tmp_path: Path, broken: bool) -> None:
    paths = write_study(tmp_path / "one", arms={"Control": []}, done=3, running=0)
    write_digests(paths)
    (arm,) = read_plan(paths).arms
    for number, run in enumerate(arm.runs):
        apart = number if broken else 0
        write_record(paths.run(run).result, make_result(run=run, epochs=8, weights_sha256=f"{apart:064x}"))
    (found,) = StudyView(paths, known=know(paths)).refresh().arms
    assert found.partings is not None
    assert found.partings.first == (Parting(replicas=(1, 3), epoch=2) if broken else None)
