"""How an attempt ended is recorded once, in words, with the cause that its kind of end deserves."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from engine.dispatch.endings import describe_end, record_ends
from engine.study.control import Control
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.processes import Owner, current_owner
from engine.study.records import find_record, write_record
from engine.study.run_records import AttemptRecord, ExitRecord
from engine.study.run_state import read_state
from tests.helpers.records import make_attempt, make_exit, make_result

DEAD = replace(current_owner(), start_ticks=1)


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return StudyPaths(tmp_path / "study")


def attempt(paths: StudyPaths, number: int, owner: Owner = DEAD, session: str = "s") -> None:
    folder = paths.run("r").attempt(number)
    make_folder(folder.folder)
    write_record(folder.attempt, make_attempt(owner, session=session))


def end(paths: StudyPaths, status: int) -> int:
    return record_ends(paths, ["r", "never tried"], lambda claimed: claimed.session == "s", status)


def read_exit(paths: StudyPaths, number: int) -> ExitRecord | None:
    return find_record(paths.run("r").attempt(number).exit, ExitRecord)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (3, "exited with status 3"),
        (0, "exited with status 0"),
        (-11, "ended by signal 11 (SIGSEGV)"),
        (-9, "ended by signal 9 (SIGKILL, as for lack of memory)"),
        (-63, "ended by signal 63 (63)"),
    ],
)
def test_end_in_words(status: int, words: str) -> None:
    assert describe_end(status) == words


@pytest.mark.parametrize(("status", "ended_by", "code"), [(3, None, 3), (-11, "SIGSEGV", None), (0, None, 0)])
def test_same_end_twice_is_a_fault(paths: StudyPaths, status: int, ended_by: str | None, code: int | None) -> None:
    for number, cause in ((1, "infrastructure"), (2, "fault")):
        attempt(paths, number)
        assert end(paths, status) == 1
        found = read_exit(paths, number)
        assert found is not None
        assert (found.cause, found.reason) == (cause, describe_end(status))
        assert (found.signal, found.status) == (ended_by, code)
    state = read_state(paths.run("r"), control=Control(), session="s", run_id="r")
    assert (state.status, state.retriable) == ("failed", False)


@pytest.mark.parametrize("second", [-9, -15, 4, -6])
def test_other_ends_are_tried_again(paths: StudyPaths, second: int) -> None:
    attempt(paths, 1)
    end(paths, second if second in (-9, -15) else 3)
    attempt(paths, 2)
    end(paths, second)
    found = read_exit(paths, 2)
    assert found is not None
    assert found.cause == "infrastructure"


def test_end_of_an_earlier_session_does_not_count(paths: StudyPaths) -> None:
    attempt(paths, 1, session="before")
    write_record(paths.run("r").attempt(1).exit, make_exit(cause="infrastructure", reason="x", status=3))
    attempt(paths, 2)
    end(paths, 3)
    found = read_exit(paths, 2)
    assert found is not None
    assert found.cause == "infrastructure"


def test_what_ended_well_or_lives_or_belongs_to_others_is_left_alone(paths: StudyPaths) -> None:
    attempt(paths, 1, current_owner())
    assert end(paths, -signal.SIGSEGV) == 0
    attempt(paths, 2, session="other")
    assert end(paths, -signal.SIGSEGV) == 0
    attempt(paths, 3)
    write_record(paths.run("r").result, make_result(attempt=3))
    paths.run("r").predictions.write_bytes(b"x")
    assert end(paths, -signal.SIGSEGV) == 1, "the process had claimed it"
    assert [read_exit(paths, number) for number in (1, 2, 3)] == [None, None, None]


def test_attempt_that_said_how_it_ended_keeps_that(paths: StudyPaths) -> None:
    attempt(paths, 1)
    write_record(paths.run("r").attempt(1).exit, make_exit(reason="ValueError"))
    end(paths, 1)
    found = read_exit(paths, 1)
    assert found is not None
    assert found.reason == "ValueError"
    assert isinstance(find_record(paths.run("r").attempt(1).attempt, AttemptRecord), AttemptRecord)
