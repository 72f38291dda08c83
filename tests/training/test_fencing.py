"""A worker whose run was taken from it writes nothing of that run, and ends; files of two attempts are never mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.dispatch.jobs import EXIT_FENCED
from engine.dispatch.launch import plan_protocol, prepare_study
from engine.dispatch.queue import NotTaken, RunQueue
from engine.protocol.load import parse_protocol
from engine.study.control import Control
from engine.study.paths import AttemptPaths
from engine.study.run_records import declare_lost
from engine.study.run_state import read_state
from engine.study.study_plan import read_plan
from engine.training import cohort, fencing, worker
from engine.training.run_files import Claimed, describe_attempt
from engine.training.stopping import Requests

LATE: dict[str, Callable[[AttemptPaths], object]] = {
    "lost": lambda attempt: declare_lost(attempt, "silent"),
    "overtaken": lambda attempt: attempt.run.attempt(2).folder.mkdir(),
}


@pytest.fixture
def claimed(protocol_text: str, tmp_path: Path) -> Claimed:
    protocol = parse_protocol(protocol_text, file=str(tmp_path / "tiny.toml"), overrides=("dispatch.devices=cpu",))
    paths = prepare_study(protocol, plan_protocol(protocol), store=None)
    plan, record = read_plan(paths), describe_attempt("now", "cpu:0")
    taken = RunQueue(paths, "now").claim_next(plan, control=Control(), record=record)
    assert not isinstance(taken, NotTaken)
    return Claimed(paths, plan, taken.run_id, taken.attempt)


def train(claimed: Claimed) -> int | None:
    return worker._train_claimed(claimed, Requests(claimed.study), worker.Kept("now"), lambda _: NotTaken.NOTHING_LEFT)


def list_left(claimed: Claimed) -> set[str]:
    files = {path for path in claimed.run.folder.rglob("*") if path.is_file()}
    return {str(path.relative_to(claimed.run.folder)) for path in files} - {"spec.json"}


@pytest.mark.parametrize("late", LATE)
def test_run_that_is_taken_while_its_result_is_written_keeps_none_of_it(
    claimed: Claimed, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """All files are on the disk by then: what decides is the last look before they are moved to the run."""
    write_aside, written = fencing.write_aside, []

    def write(folder: Path, name: str, content: bytes) -> Path:
        written.append(name)
        if name == "result.json":
            LATE[late](claimed.attempt)
        return write_aside(folder, name, content)

    monkeypatch.setattr(fencing, "write_aside", write)
    assert train(claimed) == EXIT_FENCED
    assert written == ["predictions.npy", "model.safetensors", "result.json"]
    left = {"attempts/01/attempt.json", "attempts/01/beat.json", "attempts/01/epochs.jsonl", "attempts/01/log.txt"}
    assert list_left(claimed) == left | ({"attempts/01/lost.json"} if late == "lost" else set())


def test_training_ends_at_its_next_look_once_its_run_is_taken(
    claimed: Claimed, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, epochs = cohort.append_epoch, []

    def note(path: Path, record: Any) -> None:
        append(path, record)
        epochs.append(record.epoch)
        if len(epochs) == 1:
            declare_lost(claimed.attempt, "silent")

    monkeypatch.setattr(cohort, "append_epoch", note)
    monkeypatch.setattr("engine.training.stopping.CONTROL_PERIOD_S", 0.0)
    assert train(claimed) == EXIT_FENCED
    assert epochs == [1]
    assert not claimed.attempt.exit.exists()
    state = read_state(claimed.run, control=Control(), session="now", run_id=claimed.run_id)
    assert (state.status, state.reason, state.retriable) == ("lost", "silent", True)


def test_attempt_names_its_job_and_how_often_that_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert describe_attempt("s", "cpu:0").job is None
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    assert describe_attempt("s", "cpu:0").job == "77.0"
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert describe_attempt("s", "cpu:0").job == "77.2"
