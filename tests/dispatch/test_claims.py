"""Claims: of any number of claimants exactly one wins, and a killed one leaves nothing that looks alive."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from engine.dispatch import claims, queue
from engine.dispatch.claims import claim, remove_stray_claims
from engine.dispatch.queue import NotTaken, RunQueue, Taken
from engine.study.control import Control
from engine.study.files import make_folder
from engine.study.paths import RunPaths, StudyPaths
from engine.study.processes import current_owner
from engine.study.records import find_record, write_record
from engine.study.run_records import AttemptRecord, write_exit
from engine.study.run_state import RunState, read_state
from tests.helpers.records import make_attempt


def read_attempt(run: RunPaths, number: int) -> AttemptRecord:
    found = find_record(run.attempt(number).attempt, AttemptRecord)
    assert found is not None
    return found


def try_claim(arguments: tuple[str, int]) -> int | None:
    folder, number = arguments
    attempt = claim(RunPaths(Path(folder)), number, make_attempt())
    return None if attempt is None else os.getpid()


@pytest.mark.slow
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
    dead = replace(current_owner(), start_ticks=1)
    elsewhere = replace(dead, host="elsewhere")
    for name, owner in (("dead", dead), ("live", current_owner()), ("elsewhere", elsewhere), ("unknown", None)):
        folder = run.attempts / f".claim-77-{name}"
        make_folder(folder)
        if owner is not None:
            write_record(folder / "attempt.json", make_attempt(owner))
        os.utime(folder, (1.0, 1.0))
    assert run.list_attempts() == []
    remove_stray_claims(run.attempts)
    assert {path.name for path in run.attempts.iterdir()} == {
        f".claim-77-{name}" for name in ("live", "elsewhere", "unknown")
    }


def test_claimants_with_equal_numbers_share_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in two containers: in the middle of one claim another process of the same number makes its own."""
    run, others = RunPaths(tmp_path), []

    def write_second(path: Path, record: AttemptRecord) -> None:
        if not others:
            others.append(path)
            assert claim(run, 1, make_attempt(slot="other")) is not None
        write_record(path, record)

    monkeypatch.setattr(claims, "write_record", write_second)
    assert claim(run, 1, make_attempt(slot="own")) is None
    assert read_attempt(run, 1).slot == "other"
    assert not list(run.attempts.glob(".claim-*"))


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return StudyPaths(tmp_path / "study")


@dataclass(frozen=True)
class Runs:
    """A plan of two runs."""

    order: tuple[str, ...] = ("a", "b")
    forks: dict[str, tuple[str, int]] = field(default_factory=dict)
    reuses: dict[str, str] = field(default_factory=dict)


def take(
    paths: StudyPaths, control: Control | None = None, *, done: str = "", plan: Runs | None = None
) -> str | NotTaken:
    """The run that is claimed next, or why none is."""
    runs = RunQueue(paths, "s", done=set(done))
    taken = runs.claim_next(plan or Runs(), control=control or Control(), record=make_attempt())
    return taken.run_id if isinstance(taken, Taken) else taken


def test_runs_are_claimed_in_order_and_running_ones_are_passed_over(paths: StudyPaths) -> None:
    assert [take(paths), take(paths), take(paths)] == ["a", "b", NotTaken.NOTHING_LEFT]


def test_done_cancelled_and_paused_runs_are_passed_over(paths: StudyPaths) -> None:
    assert take(paths, Control(cancelled_runs=frozenset("a"))) == "b"
    assert take(paths, Control(paused_runs=frozenset("a"))) is NotTaken.NOTHING_LEFT
    assert take(paths, Control(cancelled=True)) is NotTaken.NOTHING_LEFT
    assert take(paths, done="a") is NotTaken.NOTHING_LEFT


def test_failed_run_is_claimed_again_as_the_next_attempt(paths: StudyPaths) -> None:
    assert take(paths) == "a"
    write_exit(paths.run("a").attempt(1), "failed", "infrastructure", "out of memory")
    assert take(paths) == "a"
    write_exit(paths.run("a").attempt(2), "failed", "fault", "ValueError")
    assert take(paths) == "b"
    assert [attempt.number for attempt in paths.run("a").list_attempts()] == [1, 2]


def test_run_that_ends_while_it_is_judged_is_not_tried_again(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a run that nobody has tried and the claim, another process tries it and fails."""

    def look(run: RunPaths, **wanted: Any) -> RunState:
        state = read_state(run, **wanted)
        if run.folder.name == "a" and state.status == "queued":
            attempt = claim(run, 1, make_attempt(slot="other"))
            assert attempt is not None
            write_exit(attempt, "failed", "fault", "ValueError")
        return state

    monkeypatch.setattr(queue, "read_state", look)
    assert take(paths) == "b"
    assert [attempt.number for attempt in paths.run("a").list_attempts()] == [1]


def test_run_that_goes_on_from_another_waits_while_that_one_is_trained(paths: StudyPaths) -> None:
    shared = Runs(forks={"a": ("beginning", 2), "b": ("beginning", 2)})
    assert take(paths, plan=shared) == "a"
    assert take(paths, plan=shared) is NotTaken.WAIT
    paths.fork("beginning", 2).checkpoint.parent.mkdir(parents=True)
    paths.fork("beginning", 2).checkpoint.touch()
    assert take(paths, plan=shared) == "b"


def test_run_that_reads_its_twins_weights_waits_for_them(paths: StudyPaths) -> None:
    twins = Runs(reuses={"b": "a"})
    assert take(paths, plan=twins) == "a"
    assert take(paths, plan=twins) is NotTaken.WAIT
    write_exit(paths.run("a").attempt(1), "failed", "fault", "ValueError")
    assert take(paths, plan=twins) == "b"
