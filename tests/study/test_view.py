"""A viewer's snapshot: states, curves, spread and the time left, from files alone."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import StudyError
from engine.plan.plan import Plan
from engine.study.epochs import EpochRecord, append_epoch
from engine.study.files import make_folder
from engine.study.paths import RunPaths, StudyPaths
from engine.study.records import write_record
from engine.study.run_state import RunState
from engine.study.series import ArmSeries
from engine.study.snapshot import RunView, Spread
from engine.study.study_plan import find_study, read_plan
from engine.study.supervisor_record import SlotRecord
from engine.study.view import StudyView, measure_spread
from tests.helpers.records import make_attempt, make_result, make_supervisor


def record(epoch: int, accuracy: float, seconds: float = 2.0) -> EpochRecord:
    return EpochRecord(
        epoch=epoch, train_loss=1.0, test_accuracy=accuracy, test_cross_entropy=1.0, lr=0.1, seconds=seconds
    )


def begin(study: StudyPaths, run: str, *accuracies: float, attempt: int = 1) -> None:
    paths = study.run(run).attempt(attempt)
    make_folder(paths.folder)
    write_record(paths.attempt, make_attempt())
    for epoch, accuracy in enumerate(accuracies, start=1):
        append_epoch(paths.epochs, record(epoch, accuracy))


def finish(study: StudyPaths, run: str, **result: Any) -> None:
    study.run(run).predictions.write_bytes(b"x")
    write_record(study.run(run).result, make_result(run=run, **result))


Ended = tuple[RunView, tuple[EpochRecord, ...]]


def ended(*records: EpochRecord, diverged: bool = False) -> Ended:
    state, latest = RunState(status="done", diverged=diverged), records[-1] if records else None
    return RunView(id="r", state=state, trained=len(records), latest=latest, planned_epochs=9), records


def spread_of(*runs: Ended) -> Spread | None:
    series = ArmSeries("arm")
    for _, records in runs:
        series.add(records)
    return measure_spread([run for run, _ in runs], series)


def test_fresh_study_has_nothing_but_queued_runs(study: StudyPaths, plan: Plan) -> None:
    snapshot = StudyView(study).refresh()
    assert snapshot.counts == {"queued": len(plan.recipes)}
    assert not snapshot.supervised
    assert not snapshot.finished
    assert snapshot.seconds_left is None
    assert all(arm.spread is None for arm in snapshot.arms)


def test_spread_is_over_the_replicas_at_the_last_epoch_that_two_reached(study: StudyPaths, plan: Plan) -> None:
    view = StudyView(study)
    one, other = plan.arms[1].runs
    begin(study, one, 10.0, 20.0)
    begin(study, other, 16.0)
    spread = view.refresh().arms[1].spread
    assert spread is not None
    assert (spread.epoch, spread.n, spread.minimum, spread.maximum, spread.mean) == (1, 2, 10.0, 16.0, 13.0)
    assert spread.sd == statistics.pstdev([10.0, 16.0])


def test_epochs_are_read_as_they_are_written(study: StudyPaths, plan: Plan) -> None:
    view, run = StudyView(study), plan.arms[1].runs[0]
    begin(study, run, 10.0)
    assert view.refresh().runs[run].latest == record(1, 10.0)
    append_epoch(study.run(run).attempt(1).epochs, record(2, 11.0))
    seen = view.refresh().runs[run]
    assert (seen.trained, seen.latest) == (2, record(2, 11.0))


def test_new_attempt_starts_the_curve_anew(study: StudyPaths, plan: Plan) -> None:
    view, run = StudyView(study), plan.arms[1].runs[0]
    begin(study, run, 10.0, 11.0)
    view.refresh()
    begin(study, run, 12.0, attempt=2)
    seen = view.refresh()
    assert (seen.runs[run].trained, seen.runs[run].latest) == (1, record(1, 12.0))
    assert seen.arms[1].spread is not None
    assert (seen.arms[1].spread.n, seen.arms[1].spread.mean) == (1, 12.0)


def test_time_left_counts_shared_runs_once_and_divides_by_slots(study: StudyPaths, plan: Plan) -> None:
    run = plan.arms[1].runs[0]
    begin(study, run, 10.0)
    # 4 runs of 2 epochs; one epoch of 2 s is done, none is shared in this plan.
    assert StudyView(study).refresh().seconds_left == pytest.approx((4 * 2 - 1) * 2.0)
    slots = tuple(SlotRecord(f"cpu:{number}", "training") for number in range(2))
    write_record(study.supervisor, make_supervisor(slots=slots))
    assert StudyView(study).refresh().seconds_left == pytest.approx((4 * 2 - 1) * 2.0 / 2)


@pytest.mark.parametrize("reported", [0, 1])
def test_time_left_takes_a_program_that_reports_too_few_epochs_for_what_it_took(
    study: StudyPaths, plan: Plan, reported: int
) -> None:
    run = plan.arms[1].runs[0]
    begin(study, run, *[10.0] * reported)
    finish(study, run, epochs=1, seconds=8.0)  # a program that reports no epoch is noted with one
    assert StudyView(study).refresh().seconds_left == pytest.approx(3 * 8.0)


def test_time_left_takes_the_epochs_of_a_run_that_diverged(study: StudyPaths, plan: Plan) -> None:
    run = plan.arms[1].runs[0]
    finish(study, run, epochs=1, seconds=8.0, diverged=True, diverged_epoch=1)
    assert StudyView(study).refresh().seconds_left == pytest.approx(3 * 2 * 8.0)


def test_finished_study(study: StudyPaths, plan: Plan) -> None:
    view = StudyView(study)
    for run in plan.recipes:
        begin(study, run, 10.0, 11.0)
        finish(study, run)
    snapshot = view.refresh()
    assert snapshot.finished
    assert snapshot.counts == {"done": len(plan.recipes)}
    assert snapshot.seconds_left == 0.0


def test_changed_plan_is_taken_up(study: StudyPaths, plan: Plan) -> None:
    view = StudyView(study)
    content = study.plan.read_text().replace('"Init"', '"Other"')
    study.plan.write_text(content)
    assert view.refresh().arms[1].name == "Other"


@pytest.mark.parametrize("content", ["", "{", '{"v": 7}', '{"v": 1}', '{"v": 1, "dispatch": 3}'])
def test_damaged_plan_is_named(study: StudyPaths, content: str) -> None:
    study.plan.write_text(content)
    with pytest.raises(StudyError, match=r"plan\.json"):
        read_plan(study)


def test_study_is_found_by_name_and_by_path(study: StudyPaths) -> None:
    store = str(study.folder.parent)
    assert find_study("tiny", store=store).folder == study.folder
    assert find_study(str(study.folder), store=None).folder == study.folder
    for name in ("nothing", "../tiny", "..", "", "."):
        with pytest.raises(StudyError, match="no study of this name"):
            find_study(name, store=store)


def test_study_that_is_being_written_is_not_called_unknown(tmp_path: Path) -> None:
    folder = StudyPaths(tmp_path / "new")
    folder.folder.mkdir()
    folder.start_lock.touch()
    for name, store in (("new", str(tmp_path)), (str(folder.folder), None)):
        with pytest.raises(StudyError, match="a command is writing this study"):
            find_study(name, store=store)


@given(st.lists(st.lists(st.floats(0, 100), max_size=4), max_size=5))
def test_spread_of_any_curves(curves: list[list[float]]) -> None:
    spread = spread_of(*(ended(*(record(i, value) for i, value in enumerate(curve, start=1))) for curve in curves))
    if not any(curves):
        assert spread is None
        return
    assert spread is not None
    values = [curve[spread.epoch - 1] for curve in curves if len(curve) >= spread.epoch]
    assert len(values) == spread.n >= min(2, sum(map(bool, curves)))
    assert spread.minimum <= spread.mean + 1e-9 <= spread.maximum + 2e-9
    assert spread.sd == pytest.approx(statistics.pstdev(values), abs=1e-6)


def test_spread_leaves_out_what_is_not_finite() -> None:
    spread = spread_of(ended(record(1, math.nan)), ended(record(1, 5.0)))
    assert spread is not None
    assert (spread.n, spread.mean) == (1, 5.0)
    assert spread_of(ended(record(1, math.nan))) is None


@pytest.mark.parametrize(
    ("lengths", "epoch", "n", "diverged"),
    [((1, 1, 1), 1, 3, 3), ((3, 1, 2), 2, 2, 2), ((1, 1, -1), 1, 3, 2), ((1, -4, -4), 4, 2, 0), ((-4, 1), 1, 2, 1)],
)
def test_spread_counts_the_replicas_that_diverged(lengths: tuple[int, ...], epoch: int, n: int, diverged: int) -> None:
    """Negative lengths are of runs that did not diverge."""
    spread = spread_of(
        *(ended(*(record(i, 9.91) for i in range(1, abs(length) + 1)), diverged=length > 0) for length in lengths)
    )
    assert spread is not None
    assert (spread.epoch, spread.n, spread.diverged) == (epoch, n, diverged)


def test_arm_says_in_which_epochs_replicas_diverged(study: StudyPaths, plan: Plan) -> None:
    one, other = plan.arms[1].runs
    for run, epochs in ((one, 2), (other, 1)):
        begin(study, run, *[9.91] * epochs)
        finish(study, run, diverged=True, diverged_epoch=epochs)
    arm = StudyView(study).refresh().arms[1]
    assert arm.diverged_epochs == {2: 1, 1: 1}
    assert StudyView(study).refresh().arms[0].diverged_epochs == {}


def test_study_that_is_deleted_while_it_is_looked_at_ends_no_viewer(
    study: StudyPaths, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(study, plan.arms[0].runs[0], 90.0)
    monkeypatch.setattr(RunPaths, "list_attempts", lambda run: [])  # gone since the run's state was read
    view = StudyView(study)
    assert len(view.refresh().runs) == len(view.plan.order)
