"""Claims: of any number of claimants exactly one wins, and a killed one leaves nothing that looks alive."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from engine.dispatch.claims import claim, remove_stray_claims
from engine.dispatch.queue import claim_next
from engine.study.control import Control
from engine.study.files import make_folder
from engine.study.paths import RunPaths, StudyPaths
from engine.study.records import find_record
from engine.study.run_records import AttemptRecord, write_exit
from tests.helpers.records import make_attempt


def read_attempt(run: RunPaths, number: int) -> AttemptRecord:
    found = find_record(run.attempt(number).attempt, AttemptRecord)
    assert found is not None
    return found


def try_claim(arguments: tuple[str, int]) -> int | None:
    folder, number = arguments
    attempt = claim(RunPaths(Path(folder)), number, make_attempt())
    return None if attempt is None else os.getpid()


def test_one_of_many_processes_wins_each_attempt(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number in range(1, 26):
            won = [pid for pid in pool.map(try_claim, [(str(tmp_path), number)] * 4) if pid is not None]
            assert len(won) == 1
            assert read_attempt(run, number).owner.pid == won[0]
    assert [attempt.number for attempt in run.list_attempts()] == list(range(1, 26))
    assert not list(run.attempts.glob(".claim-*"))


def test_existing_attempt_is_left_alone(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    assert claim(run, 1, make_attempt(slot="first")) is not None
    assert claim(run, 1, make_attempt(slot="second")) is None
    assert read_attempt(run, 1).slot == "first"


def test_half_made_claim_is_no_attempt_and_is_removed(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    make_folder(run.attempts / ".claim-77-1")
    assert run.list_attempts() == []
    remove_stray_claims(run.attempts)
    assert not list(run.attempts.iterdir())


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return StudyPaths(tmp_path / "study")


def take(paths: StudyPaths, control: Control = Control(), done: set[str] | None = None) -> str | None:  # noqa: B008
    known = set() if done is None else done
    claimed = claim_next(paths, ["a", "b"], control=control, session="s", record=make_attempt(), done=known)
    return None if claimed is None else claimed[0]


def test_runs_are_claimed_in_order_and_running_ones_are_passed_over(paths: StudyPaths) -> None:
    assert [take(paths), take(paths), take(paths)] == ["a", "b", None]


def test_done_cancelled_and_paused_runs_are_passed_over(paths: StudyPaths) -> None:
    assert take(paths, Control(cancelled_runs=frozenset("a"))) == "b"
    assert take(paths, Control(paused_runs=frozenset("a"))) is None
    assert take(paths, Control(cancelled=True)) is None
    assert take(paths, done={"a"}) is None


def test_failed_run_is_claimed_again_as_the_next_attempt(paths: StudyPaths) -> None:
    assert take(paths) == "a"
    write_exit(paths.run("a").attempt(1), "failed", "infrastructure", "out of memory")
    assert take(paths) == "a"
    write_exit(paths.run("a").attempt(2), "failed", "fault", "ValueError")
    assert take(paths) == "b"
    assert [attempt.number for attempt in paths.run("a").list_attempts()] == [1, 2]
