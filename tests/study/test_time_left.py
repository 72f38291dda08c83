"""The time that is left of a study, by hand: what runs take beside their epochs counts too."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.study.records import write_record
from engine.study.study_plan import read_plan
from engine.study.time_left import Took, find_overhead_s
from engine.study.view import StudyView
from tests.helpers.records import make_attempt, make_result
from tests.helpers.studies import write_study

ONE, OTHER = ("session", "cpu:0"), ("session", "cpu:1")


def test_process_that_is_started_for_a_run_counts() -> None:
    # Each takes 10 s: 3 s until it is claimed, 2 s to load the data, 5 s of epochs.
    runs = [Took(seat, end - 7.0, end, 5.0) for seat in (ONE, OTHER) for end in (100.0, 110.0, 120.0)]
    assert find_overhead_s(runs) == 5.0


def test_first_run_of_a_seat_tells_from_its_own_start() -> None:
    assert find_overhead_s([Took(ONE, 93.0, 100.0, 5.0)]) == 2.0
    assert find_overhead_s([]) == 0.0


def test_runs_that_are_trained_together_share_the_time() -> None:
    # Packs of two, 10 s each, of which every run's share is 4 s.
    runs = [Took(ONE, start + number / 100, start + 10.0 + number / 100, 4.0) for start in (0, 10) for number in (0, 1)]
    assert find_overhead_s(runs) == pytest.approx(1.0)


def test_pause_and_another_session_are_no_overhead() -> None:
    ends = [10.0, 20.0, 30.0, 5000.0, 5010.0]
    paused = [Took(ONE, end - 7.0, end, 5.0) for end in ends]
    later = [Took(("later", "cpu:0"), end - 7.0, end, 5.0) for end in (9000.0, 9010.0)]
    assert find_overhead_s([*paused, *later]) == 5.0


def test_epochs_that_took_longer_than_the_clock_says_leave_nothing() -> None:
    assert find_overhead_s([Took(ONE, 0.0, 4.0, 5.0), Took(ONE, 4.0, 8.0, 5.0)]) == 0.0


def test_study_counts_what_waiting_runs_take_beside_their_epochs(tmp_path: Path) -> None:
    paths = write_study(tmp_path / "s", arms={"Init": ["init"]}, replicas=6, done=3, running=1)
    for number, run in enumerate(read_plan(paths).arms[0].runs[:3]):
        began, ended = (
            datetime.fromtimestamp(moment, UTC).isoformat() for moment in (20.0 * number, 20.0 * (number + 1) - 4)
        )
        write_record(paths.run(run).attempt(1).attempt, make_attempt(started=began))
        write_record(paths.run(run).result, make_result(run=run, epochs=8, seconds=4.0, finished=ended))
    left = StudyView(paths).refresh().seconds_left
    # Two slots: of two waiting runs 8 epochs of 0.5 s and 16 s beside them, of the one that is trained 4 epochs.
    assert left == pytest.approx((2 * (8 * 0.5 + 16.0) + 4 * 0.5) / 2)
