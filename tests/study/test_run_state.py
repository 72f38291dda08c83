"""Every state that a run's files and processes can be in, and what that means for trying it again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.study.beats import CLOCK, LOST_S, BeatRecord, write_beat
from engine.study.control import Control
from engine.study.files import make_folder
from engine.study.paths import RunPaths
from engine.study.processes import INITIAL_NAMESPACE, Owner, current_owner, is_alive, read_boot_id
from engine.study.records import write_record
from engine.study.run_records import ResultRecord, note_damage
from engine.study.run_state import MAX_RETRIES, STALE_AFTER_S, RunState, read_state
from tests.helpers.records import make_attempt, make_exit, make_result

FREE = Control()


def dead_owner() -> Owner:
    return replace(current_owner(), start_ticks=1)


def foreign_owner() -> Owner:
    return replace(current_owner(), host="elsewhere")


def attempt(run: RunPaths, number: int, *, owner: Owner, session: str = "now", **ended: Any) -> None:
    paths = run.attempt(number)
    make_folder(paths.folder)
    write_record(paths.attempt, make_attempt(owner, session=session))
    if ended:
        write_record(paths.exit, make_exit(**ended))


def finish(run: RunPaths, result: ResultRecord | None = None) -> None:
    run.predictions.write_bytes(b"x")
    write_record(run.result, result or make_result())


def state(run: RunPaths, *, control: Control = FREE, session: str | None = "now") -> RunState:
    return read_state(run, control=control, session=session, run_id="r")


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    paths = RunPaths(tmp_path / "r")
    make_folder(paths.attempts)
    return paths


def test_untouched_run_is_queued(run: RunPaths) -> None:
    assert state(run) == RunState(status="queued", retriable=True)


def test_run_of_a_live_process_is_running(run: RunPaths) -> None:
    attempt(run, 1, owner=current_owner())
    assert state(run).status == "running"


def test_run_of_a_dead_process_is_lost_and_tried_again(run: RunPaths) -> None:
    attempt(run, 1, owner=dead_owner())
    assert (state(run).status, state(run).retriable) == ("lost", True)
    assert "ended without a result" in str(state(run).reason)


def test_result_alone_means_done(run: RunPaths) -> None:
    attempt(run, 1, owner=dead_owner())
    finish(run)
    assert (state(run).status, state(run).retriable) == ("done", False)
    finish(run, make_result(diverged=True, diverged_epoch=1))
    assert state(run).diverged


@pytest.mark.parametrize("content", ["", "{", "[]", '{"v": 0}'])
def test_damaged_result_is_a_failure_that_is_tried_again(run: RunPaths, content: str) -> None:
    attempt(run, 1, owner=dead_owner())
    finish(run)
    run.result.write_text(content)
    assert (state(run).status, state(run).retriable) == ("failed", True)
    assert "result.json" in str(state(run).reason)


def test_missing_predictions_are_a_failure(run: RunPaths) -> None:
    finish(run)
    run.predictions.unlink()
    assert (state(run).status, state(run).reason) == ("failed", "predictions.npy is missing")


@pytest.mark.parametrize("written_by", [1, None])
def test_damaged_run_that_is_being_trained_again_is_running(run: RunPaths, written_by: int | None) -> None:
    """Otherwise a second worker would train it at the same time."""
    attempt(run, 1, owner=dead_owner())
    finish(run, make_result(attempt=1))
    if written_by is None:
        run.result.write_text("")
    else:
        note_damage(run, make_result(attempt=written_by), "predictions.npy is damaged")
    assert (state(run).status, state(run).retriable) == ("failed", True)
    attempt(run, 2, owner=current_owner())
    os.utime(run.result, (1, 1))
    assert state(run).status == "running"
    finish(run, make_result(attempt=2))
    assert state(run).status == "done"


def test_result_that_appears_between_two_looks_is_done(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt(run, 1, owner=dead_owner())

    def finish_late(owner: Owner) -> bool | None:
        finish(run)
        return False

    monkeypatch.setattr("engine.study.run_state.is_alive", finish_late)
    assert state(run).status == "done"


def test_infrastructure_failures_are_retried_twice_and_faults_never(run: RunPaths) -> None:
    for number in range(1, MAX_RETRIES + 2):
        assert state(run).retriable, number
        attempt(run, number, owner=dead_owner(), outcome="failed", cause="infrastructure", reason="out of memory")
    assert (state(run).status, state(run).retriable, state(run).reason) == ("failed", False, "out of memory")
    assert state(run, session="next").retriable, "another session tries what is missing"


def test_fault_is_not_retried_in_its_session(run: RunPaths) -> None:
    attempt(run, 1, owner=dead_owner(), outcome="failed", cause="fault", reason="ValueError")
    assert not state(run).retriable
    assert state(run, session="next").retriable


def test_lost_attempts_count_as_tries(run: RunPaths) -> None:
    for number in range(1, MAX_RETRIES + 2):
        attempt(run, number, owner=dead_owner())
    assert (state(run).status, state(run).retriable) == ("lost", False)


def test_cancelled_run_is_cancelled_until_resumed_and_then_queued_again(run: RunPaths) -> None:
    attempt(run, 1, owner=dead_owner(), outcome="cancelled", cause="request", reason="stopped on request")
    assert state(run, control=Control(cancelled=True)) == RunState(
        status="cancelled", attempts=1, reason="stopped on request"
    )
    assert state(run).retriable


def test_request_for_one_run_leaves_others(run: RunPaths) -> None:
    assert state(run, control=Control(cancelled_runs=frozenset({"r"}))).status == "cancelled"
    assert state(run, control=Control(cancelled_runs=frozenset({"other"}))).status == "queued"


def test_finished_and_running_runs_are_not_cancelled(run: RunPaths) -> None:
    attempt(run, 1, owner=current_owner())
    assert state(run, control=Control(cancelled=True)).status == "running"
    finish(run)
    assert state(run, control=Control(cancelled=True)).status == "done"


def test_run_on_another_host_is_running_until_it_is_silent(run: RunPaths) -> None:
    attempt(run, 1, owner=foreign_owner())
    assert state(run).status == "running"
    old = run.attempt(1).attempt.stat().st_mtime - STALE_AFTER_S - 1
    os.utime(run.attempt(1).attempt, (old, old))
    assert (state(run).status, state(run).retriable) == ("stale", True)
    assert "elsewhere" in str(state(run).reason)


def test_attempt_without_owner_is_silent_not_alive(run: RunPaths) -> None:
    make_folder(run.attempt(1).folder)
    os.utime(run.attempt(1).folder, (0, 0))
    assert state(run).status == "stale"


def test_owner_tells_processes_apart() -> None:
    owner = current_owner()
    assert is_alive(owner) is True
    assert is_alive(replace(owner, start_ticks=owner.start_ticks + 1)) is False
    rebooted = is_alive(replace(owner, boot_id="other"))
    assert rebooted is (False if owner.pid_namespace == INITIAL_NAMESPACE else None)
    assert is_alive(replace(owner, host="other")) is None
    assert is_alive(replace(owner, pid_namespace="pid:[1]")) is None
    assert is_alive(replace(owner, pid=2**22 + 1)) is False


def test_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stat = Path(f"/proc/{child.pid}/stat")
    owner = replace(current_owner(), pid=child.pid, start_ticks=int(stat.read_text().rpartition(")")[2].split()[19]))
    assert is_alive(owner) is True
    child.kill()
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        pass
    assert is_alive(owner) is False
    child.wait()
    assert is_alive(owner) is False


def test_run_of_another_container_is_running_as_long_as_it_beats(run: RunPaths) -> None:
    """Its host has the same name, and its process cannot be asked: its own signs decide, not its files' times."""
    attempt(run, 1, owner=replace(current_owner(), pid_namespace="pid:[1]"))
    far = time.time() + 1e7
    now = time.monotonic()
    for silent_s, status in ((1.0, "running"), (LOST_S - 5, "running"), (LOST_S + 1, "stale")):
        beat = BeatRecord(boot_id=read_boot_id(), beaten=now - silent_s, moved=now - silent_s)
        write_beat(run.attempt(1).beat, beat)
        os.utime(run.attempt(1).attempt, (far, far))
        assert state(run).status == status, silent_s
    assert state(run).retriable


def test_run_whose_files_are_from_the_future_is_waited_for_a_bounded_time(run: RunPaths) -> None:
    attempt(run, 1, owner=foreign_owner())
    far = time.time() + 1e7
    os.utime(run.attempt(1).attempt, (far, far))
    assert (state(run).status, state(run).asked) == ("running", False)
    sign, seen = CLOCK.seen[run.attempt(1).attempt]
    CLOCK.seen[run.attempt(1).attempt] = (sign, seen - STALE_AFTER_S)
    assert state(run).status == "stale"


def test_machine_of_the_same_name_that_started_at_another_time_may_be_another() -> None:
    """Containers of one name on two machines: only outside of containers does another start mean that it is over."""
    owner = replace(current_owner(), boot_id="other")
    assert is_alive(replace(owner, pid_namespace="pid:[1]")) is None


def test_run_that_somebody_wants_tried_again_is_tried_once_more(run: RunPaths) -> None:
    for number in range(1, MAX_RETRIES + 3):
        attempt(run, number, owner=dead_owner(), cause="fault")
    last = MAX_RETRIES + 2
    asked = Control(retried={"r": last})
    assert not state(run).retriable
    assert state(run, control=asked).retriable
    assert not state(run, control=Control(retried={"r": last - 1})).retriable, "it has been tried since"
    attempt(run, last + 1, owner=dead_owner())
    assert state(run, control=asked).retriable, "a process that was killed is no answer"
    write_record(run.attempt(last + 1).exit, make_exit(cause="fault"))
    assert not state(run, control=asked).retriable
    assert not state(run, control=replace(asked, cancelled=True)).retriable
