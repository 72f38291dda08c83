"""`cancel` without a supervisor: what waits in a scheduler's queue is ended by the command itself."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.dispatch import cancel
from engine.dispatch.executors.slurm import name_jobs
from engine.study.control import read_control
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.study_plan import read_plan
from tests.helpers.large_store import Size, write_large_study
from tests.helpers.slurm_answers import Controller, answer_for_slurm
from tui import cli

JOBS = {
    "7": "RUNNING|None|node1|0|0",
    "8": "PENDING|Resources||0|0",
    "9": "PENDING|Priority||0|0",
    "6": "COMPLETED|None|node1|0|0",
}


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return write_on_slurm(tmp_path / "study", done=0)


def write_on_slurm(folder: Path, *, done: int) -> StudyPaths:
    made = write_large_study(folder, Size(replicas=2, done=done))
    plan = read_plan(made)
    dispatch = msgspec.structs.replace(plan.dispatch, executor="slurm")
    write_record(made.plan, msgspec.structs.replace(plan, dispatch=dispatch))
    return made


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Controller:
    return answer_for_slurm(monkeypatch)


def run_cancel(paths: StudyPaths, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["cancel", str(paths.folder)]) == 0
    return " ".join(capsys.readouterr().err.split())


def test_waiting_jobs_are_cancelled_and_running_ones_see_the_request(
    paths: StudyPaths, controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.jobs = dict(JOBS)
    said = run_cancel(paths, capsys)
    assert "2 jobs that waited in Slurm's queue are cancelled" in said
    assert [one for one in controller.asked if one[0] == "scancel"] == [["scancel", "8", "9"]]
    assert f"--name={name_jobs(paths)}" in controller.asked[0]
    assert read_control(paths).cancelled


def test_jobs_that_do_not_end_on_request_are_cancelled_too(paths: StudyPaths, controller: Controller) -> None:
    controller.jobs = dict(JOBS)
    said = cancel.end_queued(paths, "slurm", begun=True)
    assert said == "2 jobs that waited and 1 job that ran in Slurm's queue are cancelled"
    assert cancel.end_queued(paths, "slurm", begun=True) is None


def test_without_slurm_here_the_request_stays_and_is_explained(
    paths: StudyPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = run_cancel(paths, capsys)
    assert "there is no squeue on this machine: run this on a login node of the cluster" in said
    assert "jobs of this study that wait in a queue end as soon as they start" in said
    assert read_control(paths).cancelled


def test_controller_that_does_not_answer_is_named(
    paths: StudyPaths, controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.away = "Unable to contact slurm controller"
    said = run_cancel(paths, capsys)
    assert "Slurm does not answer: slurm_load_jobs error: Unable to contact slurm controller" in said
    controller.away, controller.jobs = None, dict(JOBS)
    assert "2 jobs that waited in Slurm's queue are cancelled" in run_cancel(paths, capsys), "asked once more"


def test_study_that_is_done_has_nothing_to_cancel(
    tmp_path: Path, controller: Controller, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = write_on_slurm(tmp_path / "finished", done=2)
    assert "is not running, nothing to cancel" in run_cancel(finished, capsys)
    assert (controller.asked, read_control(finished).cancelled) == ([], False)
