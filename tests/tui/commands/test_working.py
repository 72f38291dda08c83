"""`worker`: becomes a worker of the study, for the supervisor that it has, or refuses before anything is claimed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.study.control import request
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from tests.helpers.large_store import Size, write_large_study
from tests.helpers.records import make_supervisor
from tests.helpers.studies import write_study
from tui import cli


class Started(Exception):
    """Stands for the process that would take the place of this one."""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyPaths:
    def start(program: str, arguments: list[str]) -> None:
        raise Started(*arguments)

    monkeypatch.setattr(os, "execv", start)
    monkeypatch.chdir(tmp_path)
    return write_large_study(tmp_path / "study", Size(replicas=1, done=0))


def test_worker_belongs_to_the_supervisor_that_is_there(paths: StudyPaths) -> None:
    write_record(paths.supervisor, make_supervisor(session="theirs"))
    with pytest.raises(Started) as started:
        cli.run(["worker", str(paths.folder), "--time-left", "08:00:00"])
    command = list(started.value.args)
    assert command[1:6] == ["-P", "-m", "engine.training", "worker", str(paths.folder)]
    assert command[command.index("--session") + 1] == "theirs"
    assert command[-2:] == ["--time-left", "08:00:00"]
    assert "--lease" not in command, "its place is its own"


def test_worker_says_what_is_left_and_starts_nothing_where_that_is_none(
    tmp_path: Path, paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Started):
        cli.run(["worker", str(paths.folder)])
    said = capsys.readouterr().err
    assert said == f"{paths.folder}: 1 run is left: trains here until none is; Ctrl-C ends it\n"
    done = write_study(tmp_path / "done", done=3, running=0)
    assert cli.run(["worker", str(done.folder)]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{done.folder}: nothing is left to train, all 9 runs are done\n")


def test_worker_needs_no_supervisor(paths: StudyPaths) -> None:
    with pytest.raises(Started) as started:
        cli.run(["worker", "study", "--store", str(paths.folder.parent)])
    assert "--time-left" not in started.value.args


def test_worker_of_a_cancelled_study_and_a_time_that_is_none_are_refused(
    paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["worker", str(paths.folder), "--time-left", "soon"]) == 2
    assert "--time-left 'soon': is no time: write HH:MM:SS" in capsys.readouterr().err.replace("\n", " ")
    request(paths, "cancel")
    assert cli.main(["worker", str(paths.folder)]) == 2
    assert "was cancelled" in capsys.readouterr().err
