"""A supervisor clears what is of no use any more, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from engine.dispatch.tidying import HALF_FILE_S, PERIOD_S, Tidying
from engine.study.control import read_control, request
from engine.study.paths import StudyPaths
from engine.study.view import StudyView
from tests.helpers.large_store import Size, name_run, write_large_study


def leave(path: Path, *, old: bool = True) -> Path:
    """Leave half a file behind."""
    path.write_bytes(b"half")
    if old:
        os.utime(path, (1.0, 1.0))
    return path


def clear(tidying: Tidying, paths: StudyPaths) -> None:
    tidying.clear(paths, StudyView(paths, measures=()).refresh())


def test_leftovers_of_finished_runs_go_and_those_of_others_stay(tmp_path: Path) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=4, done=2, running=1))
    done, running = paths.run(name_run(0, 0)), paths.run(name_run(0, 2))
    gone = [
        leave(done.attempt(1).checkpoint, old=False),
        leave(done.folder / ".model.safetensors.12.tmp"),
        leave(done.attempt(1).folder / ".checkpoint.safetensors.12.tmp"),
        leave(paths.folder / ".metrics.json.12.tmp"),
    ]
    kept = [
        leave(running.attempt(1).checkpoint),
        leave(running.attempt(1).folder / ".checkpoint.safetensors.12.tmp"),
        leave(done.folder / ".damage.json.13.tmp", old=False),
        leave(paths.folder / ".metrics.json.13.tmp", old=False),
        leave(paths.folder / "notes.tmp"),
    ]
    paths.supervisor_beat.touch()
    for run in (done, running):
        gone_or_kept = run.attempts / ".claim-77-x"
        gone_or_kept.mkdir()
        (gone if run is done else kept).append(leave(gone_or_kept / "attempt.json"))
    before = {path for path in paths.folder.rglob("*") if path.is_file()}
    clear(Tidying(), paths)
    assert before - {path for path in paths.folder.rglob("*") if path.is_file()} == set(gone)
    assert all(path.exists() for path in kept)


def test_half_a_file_of_a_machine_whose_clock_is_wrong_stays(tmp_path: Path) -> None:
    """The store's own clock stamps both the file and the supervisor's beat: only those two are compared."""
    paths = write_large_study(tmp_path / "one", Size(replicas=1, done=0))
    half, beat = leave(paths.folder / ".metrics.json.12.tmp"), leave(paths.supervisor_beat)
    clear(Tidying(), paths)
    assert half.exists()
    os.utime(beat, (HALF_FILE_S + 2.0, HALF_FILE_S + 2.0))
    clear(Tidying(), paths)
    assert not half.exists()


def test_obeyed_requests_go_while_a_study_runs(tmp_path: Path) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=4, done=2))
    for verb in ("cancel", "pause", "resume", "pause"):
        request(paths, verb)
    for file in paths.control.iterdir():
        os.utime(file, (1.0, 1.0))
    before = read_control(paths)
    clear(Tidying(), paths)
    assert sorted(file.name for file in paths.control.iterdir()) == ["00000003.json", "00000004.json"]
    assert read_control(paths) == before


def test_round_is_made_now_and_then_and_looks_at_each_run_once(tmp_path: Path) -> None:
    paths = write_large_study(tmp_path / "one", Size(replicas=2, done=2))
    tidying = Tidying()
    clear(tidying, paths)
    late = leave(paths.run(name_run(0, 0)).attempt(1).checkpoint)
    clear(tidying, paths)
    tidying.due -= PERIOD_S
    clear(tidying, paths)
    assert late.exists(), "the run was tidy"
    Tidying().clear(paths, StudyView(paths).refresh(), at_once=True)
    assert not late.exists()
    assert HALF_FILE_S >= 600
