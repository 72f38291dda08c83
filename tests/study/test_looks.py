"""What a second look at a study costs: it is told by what has changed, not by how much there is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine.study import looks
from engine.study.control import request
from engine.study.curves_record import FIELDS
from engine.study.epochs import append_epoch
from engine.study.looks import Pace
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.snapshot import StudySnapshot
from engine.study.summary import StudySummaries
from engine.study.view import StudyView
from tests.helpers.large_store import Size, name_run, write_large_study
from tests.helpers.operations import Operations, count_operations
from tests.helpers.records import make_attempt, make_epoch, make_exit, make_result, make_supervisor

AROUND = 8
"""Files that a look opens whatever there is: the supervisor's record, and what tells whether that one lives."""

PER_RUNNING = 12
"""Files that it opens at most for each running run."""


@pytest.fixture(autouse=True)
def time_passes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let folders that a test has just made count as made long ago."""
    monkeypatch.setattr(looks, "RECENT_NS", 0)


def look(view: StudyView) -> tuple[StudySnapshot, Operations]:
    with count_operations() as operations:
        snapshot = view.refresh()
    return snapshot, operations


@pytest.mark.parametrize("measures", [(), tuple(FIELDS)])
def test_second_look_opens_no_file_of_a_run_that_is_not_running(tmp_path: Path, measures: tuple[str, ...]) -> None:
    costs: list[Operations] = []
    for number, replicas in enumerate((10, 80)):
        size = Size(replicas=replicas, epochs=4, done=replicas // 2, running=2)
        view = StudyView(write_large_study(tmp_path / str(number), size), measures=measures)
        _, first = look(view)
        assert first.opened >= replicas
        costs.append(look(view)[1])
    few, many = costs
    assert few.opened == many.opened <= AROUND + 2 * PER_RUNNING
    assert few.listed == many.listed
    # One look at the folder of a queued run's attempts; none at what is done.
    assert many.stats - few.stats == (40 - 2) - (5 - 2)


def test_view_without_measures_reads_no_epochs(tmp_path: Path) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=20, done=20))
    _, without = look(StudyView(paths, measures=()))
    snapshot, following = look(StudyView(paths))
    assert following.opened - without.opened == 20
    assert snapshot.arms[0].spread is not None
    assert StudyView(paths, measures=()).refresh().arms[0].series is None


def change(paths: StudyPaths, run: str, what: str) -> None:
    one = paths.run(run).attempt(1)
    if what != "exit":
        one.folder.mkdir()
        write_record(one.attempt, make_attempt())
    if what == "exit":
        write_record(one.exit, make_exit(reason="ended"))
    if what == "result":
        paths.run(run).predictions.write_bytes(b"x")
        write_record(paths.run(run).result, make_result(run=run))


@pytest.mark.parametrize(("what", "status"), [("claim", "running"), ("exit", "failed"), ("result", "done")])
def test_change_of_a_run_is_seen_at_the_next_look(tmp_path: Path, what: str, status: str) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=9, done=0))
    run = name_run(0, 4)
    if what == "exit":  # of a run that was lost
        change(paths, run, "claim")
        gone = make_attempt().owner
        lost = make_attempt(type(gone)(gone.host, gone.boot_id, gone.pid_namespace, gone.pid, 1))
        write_record(paths.run(run).attempt(1).attempt, lost)
    view = StudyView(paths)
    before = view.refresh().runs[run].state.status
    assert before == ("lost" if what == "exit" else "queued")
    view.refresh()
    change(paths, run, what)
    after = view.refresh()
    assert after.runs[run].state.status == status
    assert after.arms[0].counts[after.runs[run].state.status] == after.counts[after.runs[run].state.status] == 1


def test_requests_change_states_without_any_change_of_a_runs_files(tmp_path: Path) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=9, done=3))
    view = StudyView(paths)
    assert view.refresh().counts == {"done": 3, "queued": 6}
    request(paths, "cancel", runs=[name_run(0, 5)])
    assert view.refresh().counts == {"done": 3, "queued": 5, "cancelled": 1}
    request(paths, "resume")
    assert view.refresh().counts == {"done": 3, "queued": 6}


def test_folder_that_changed_just_now_is_looked_into_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second change within one step of the file system's clock leaves the same time."""
    monkeypatch.setattr(looks, "RECENT_NS", 10**12)
    paths = write_large_study(tmp_path / "one", Size(replicas=6, done=0))
    view = StudyView(paths)
    view.refresh()
    assert look(view)[1].listed >= 6
    monkeypatch.setattr(looks, "RECENT_NS", 0)
    view.refresh()
    assert look(view)[1].listed <= 1


def test_everything_is_looked_at_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=6, done=0))
    view = StudyView(paths)
    view.refresh()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + looks.SWEEP_S + 1)
    assert look(view)[1].listed >= 6


def test_running_run_whose_file_has_not_grown_is_not_read(tmp_path: Path) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=3, done=0, running=1))
    view, epochs = StudyView(paths), paths.run(name_run(0, 0)).attempt(1).epochs
    view.refresh()
    quiet = look(view)[1].opened
    append_epoch(epochs, make_epoch(6))
    snapshot, grown = look(view)
    assert grown.opened == quiet + 1
    assert snapshot.runs[name_run(0, 0)].trained == 6
    epochs.unlink()  # the training has begun anew within its attempt
    append_epoch(epochs, make_epoch(1))
    assert view.refresh().runs[name_run(0, 0)].trained == 1


def test_looking_takes_a_small_share_of_a_core_however_long_it_lasts() -> None:
    assert Pace(cpu_s=0.001, wall_s=0.001).rest_s(0.2) == 0.2
    for cpu_s in (0.01, 0.05):
        rest_s = Pace(cpu_s=cpu_s, wall_s=cpu_s).rest_s(0.2)
        assert cpu_s / (cpu_s + rest_s) <= looks.SHARE + 1e-9
    assert Pace(cpu_s=0.001, wall_s=0.5).rest_s(0.2) == pytest.approx(2.0)


def test_list_looks_again_at_studies_that_have_changed_alone(tmp_path: Path) -> None:
    names = {"one": 8, "two": 7, "three": 8}
    studies = [write_large_study(tmp_path / name, Size(replicas=8, done=done)) for name, done in names.items()]
    summaries = StudySummaries()
    assert [summaries.summarise(paths).state for paths in studies] == ["done", "incomplete", "done"]
    with count_operations() as again:
        assert [summaries.summarise(paths).state for paths in studies] == ["done", "incomplete", "done"]
    assert (again.opened, again.listed, again.stats) == (0, 0, 2 * len(studies))
    request(studies[1], "cancel")
    write_record(studies[2].supervisor, make_supervisor())
    with count_operations() as changed:
        found = [summaries.summarise(paths) for paths in studies]
    assert [summary.state for summary in found] == ["done", "cancelled", "done"]
    assert changed.opened > 0
    studies[0].plan.unlink()
    assert summaries.summarise(studies[0]).state == "damaged"
