"""Attempts on other machines: judged by their silence alone, and what was taken away writes nothing any more."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.dispatch import claims, singleton
from engine.dispatch.claims import claim
from engine.dispatch.judging import GONE_S, Judge
from engine.dispatch.queue import NotTaken, RunQueue, Taken
from engine.dispatch.singleton import CLAIM, SupervisorClaim, take_over
from engine.study.beats import LOST_S, BeatRecord, write_beat
from engine.study.control import Control
from engine.study.files import make_folder
from engine.study.paths import AttemptPaths, RunPaths, StudyPaths, name_number
from engine.study.processes import current_owner
from engine.study.records import find_record, write_record
from engine.study.run_records import LostRecord, is_fenced
from engine.study.run_state import read_state
from engine.study.view import StudyView
from tests.helpers.large_store import Size, name_run, write_large_study
from tests.helpers.records import make_attempt, make_supervisor

ELSEWHERE = replace(current_owner(), host="elsewhere", boot_id="another")
HOUR_S = 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """This machine's steady clock; sleeping moves it on."""
    now = [1000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    return now


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    """A study whose one run is trained on another machine."""
    paths = write_large_study(tmp_path / "study", Size(replicas=1, done=0, running=0))
    assert claim(paths.run(name_run(0, 0)), 1, make_attempt(ELSEWHERE)) is not None
    return paths


def beat(attempt: AttemptPaths, steps: int) -> None:
    assert write_beat(attempt.beat, BeatRecord(boot_id="another", beaten=float(steps), moved=0.0, steps=steps))


def watch(judge: Judge, paths: StudyPaths, ended: str | None = None) -> bool:
    """Look once; return whether the run counts as lost then."""
    attempt = paths.run(name_run(0, 0)).attempt(1)
    watched = judge.watch(StudyView(paths, measures=(), deciding=True).refresh(), StudyView(paths, measures=()))
    judge.judge({} if ended is None else dict.fromkeys(watched, ended))
    return find_record(attempt.lost, LostRecord) is not None


@pytest.mark.parametrize("off_s", [-HOUR_S, 0.0, HOUR_S])
def test_run_elsewhere_is_nobodys_while_it_beats_whatever_the_clocks_say(
    off_s: float, clock: list[float], paths: StudyPaths
) -> None:
    attempt, judge = paths.run(name_run(0, 0)).attempt(1), Judge()
    for steps in range(int(3 * LOST_S / GONE_S)):
        beat(attempt, steps)
        stamp = time.time() + off_s
        for file in (attempt.beat, attempt.attempt, attempt.folder):
            os.utime(file, (stamp, stamp))
        assert not watch(judge, paths, ended="its job is gone")
        queue = RunQueue(paths, "another session")
        taken = queue.claim_next(StudyView(paths).plan, control=Control(), record=make_attempt())
        assert taken is NotTaken.NOTHING_LEFT
        clock[0] += GONE_S - 1


@pytest.mark.parametrize(("ended", "allowed_s"), [(None, LOST_S), ("its job is gone", GONE_S)])
def test_silent_run_elsewhere_is_lost_and_claimed_by_another(
    ended: str | None, allowed_s: float, clock: list[float], paths: StudyPaths
) -> None:
    judge = Judge()
    beat(paths.run(name_run(0, 0)).attempt(1), 1)
    assert not watch(judge, paths, ended)
    clock[0] += allowed_s - 1
    assert not watch(judge, paths, ended)
    clock[0] += 2
    assert watch(judge, paths, ended)
    state = read_state(paths.run(name_run(0, 0)), control=Control(), session="s", run_id="r")
    assert (state.status, state.retriable) == ("lost", True)
    assert "on elsewhere" in (state.reason or "")
    queue = RunQueue(paths, "another session")
    taken = queue.claim_next(StudyView(paths).plan, control=Control(), record=make_attempt())
    assert isinstance(taken, Taken)
    assert taken.attempt.number == 2


def test_nobody_is_blamed_for_silence_while_the_store_takes_no_signs(clock: list[float], paths: StudyPaths) -> None:
    judge = Judge()
    assert not watch(judge, paths)
    clock[0] += LOST_S + 1
    judge.forget()
    assert not watch(judge, paths), "what was missed in between does not count"


def test_attempt_is_fenced_once_it_is_lost_or_overtaken(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "r")
    first = claim(run, 1, make_attempt())
    assert first is not None
    assert not is_fenced(first)
    second = claim(run, 2, make_attempt())
    assert second is not None
    assert is_fenced(first)
    assert not is_fenced(second)
    write_record(second.lost, LostRecord(reason="silent"))
    assert is_fenced(second)


def lose_answer(rename: Callable[..., Path]) -> Callable[..., Path]:
    """Do as a file server does whose answer was lost: what is asked again has been done already."""

    def ask_twice(source: Path, target: Path) -> Path:
        rename(source, target)
        return rename(source, target)

    return ask_twice


def test_claim_whose_answer_was_lost_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunPaths(tmp_path)
    monkeypatch.setattr(Path, "rename", lose_answer(Path.rename))
    assert claim(run, 1, make_attempt(slot="own")) is not None
    monkeypatch.undo()
    assert claim(run, 1, make_attempt(slot="other")) is None


def claim_supervision(paths: StudyPaths, number: int, session: str) -> None:
    make_folder(paths.supervisors / name_number(number))
    record = SupervisorClaim(owner=ELSEWHERE, session=session)
    write_record(paths.supervisors / name_number(number) / CLAIM, record)


@pytest.mark.usefixtures("clock")
def test_of_two_supervisors_that_start_at_once_one_has_the_study(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other, on another machine, comes in between this one's look and its claim, and then speaks up."""
    claim_number, looked = claims.claim_number, []

    def come_second(folder: Path, *arguments: object) -> bool:
        if not looked:
            claim_supervision(paths, 1, "other")
        looked.append(folder)
        return claim_number(folder, *arguments)  # type: ignore[arg-type]

    def speak_up(seconds: float) -> None:
        write_record(paths.supervisor, make_supervisor(ELSEWHERE, session="other"))
        write_beat(paths.supervisor_beat, BeatRecord(boot_id="another", beaten=seconds, moved=0.0, steps=1))

    monkeypatch.setattr(singleton, "claim_number", come_second)
    monkeypatch.setattr(time, "sleep", speak_up)
    assert take_over(paths, "own") is None
    assert len(looked) == 1


@pytest.mark.parametrize("spoke", [False, True])
def test_study_of_a_supervisor_that_fell_silent_elsewhere_is_taken_over(
    clock: list[float], paths: StudyPaths, *, spoke: bool
) -> None:
    claim_supervision(paths, 1, "other")
    if spoke:
        write_record(paths.supervisor, make_supervisor(ELSEWHERE, session="other"))
        write_beat(paths.supervisor_beat, BeatRecord(boot_id="another", beaten=1.0, moved=0.0))
        long_ago = time.time() - HOUR_S
        os.utime(paths.supervisor_beat, (long_ago, long_ago))
    held = take_over(paths, "own")
    assert held is not None
    assert clock[0] >= 1000.0 + LOST_S, "its clock may be wrong: what counts is this process's own patience"
    assert held.number == 2
    assert not held.overtaken
    claim_supervision(paths, 3, "third")
    assert held.overtaken


def test_study_of_a_supervisor_that_said_goodbye_is_taken_at_once(clock: list[float], paths: StudyPaths) -> None:
    claim_supervision(paths, 1, "other")
    write_record(paths.supervisor, make_supervisor(ELSEWHERE, session="other", state="finished"))
    held = take_over(paths, "own")
    assert held is not None
    assert clock[0] == 1000.0
    assert find_record(paths.supervisors / "02" / CLAIM, SupervisorClaim) is not None
