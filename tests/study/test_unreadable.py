"""Folders that this user may not read are named, and take nothing else with them."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from engine.errors import StoreForbiddenError, StudyError
from engine.study.control import Control
from engine.study.paths import StudyPaths, find_store_fault, iterate_studies
from engine.study.run_state import read_state
from engine.study.study_plan import find_study, read_plan
from engine.study.summary import StudySummaries
from engine.study.view import StudyView
from tests.helpers.studies import write_study
from tui import cli

NOBODY = 65534


@contextlib.contextmanager
def as_nobody() -> Generator[None]:
    """Read as a user who owns nothing: modes say nothing to root."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def store() -> Generator[Path]:
    """A store that everybody may look into, with one whole study."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    write_study(folder / "good")
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def loaded(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Modules that the commands import when they run: this user may not read the interpreter's own files either."""
    for arguments in (["ls"], ["status", "good"], ["status", "none"]):
        cli.main([*arguments, "--store", str(store)])
    capsys.readouterr()


def lock(path: Path) -> None:
    path.chmod(0)


Lock = Callable[[StudyPaths], Path]
LOCKS: dict[str, Lock] = {
    "study": lambda paths: paths.folder,
    "plan": lambda paths: paths.plan,
    "runs": lambda paths: paths.runs,
    "run": lambda paths: paths.run("00000000" + "0" * 8).folder,
    "attempts": lambda paths: paths.run("00000000" + "0" * 7 + "2").attempts,
    "metrics": lambda paths: paths.metrics,
    "control": lambda paths: paths.control,
    "supervisor": lambda paths: paths.supervisor,
}


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("name", LOCKS)
def test_what_may_not_be_read_takes_nothing_with_it(store: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write_study(store / "other", done=1, running=0)
    lock(LOCKS[name](paths))
    (store / "lost+found").mkdir(mode=0o700)
    with as_nobody():
        assert cli.main(["ls", "--store", str(store)]) == 0
        out = capsys.readouterr().out
        assert [line.split()[0] for line in out.splitlines()[2:] if line[:1] not in ("", " ")] == [
            "good", "lost+found", "other",
        ]  # fmt: skip
        summaries = StudySummaries()
        states = {p.name: summaries.summarise(p).state for p in iterate_studies(store)}
        assert states["good"] == "running"
        assert states["lost+found"] == "damaged"
        assert (states["other"] == "damaged") == (name in ("study", "plan"))
        code = cli.main(["status", "other", "--store", str(store)])
        said = capsys.readouterr()
        assert code == (2 if name in ("study", "plan") else 1 if name in ("runs", "run", "attempts") else 0), said
        assert ("Permission denied" in said.out + said.err) == (name != "control")
        assert cli.main(["cancel", "other", "--store", str(store)]) == 2, "nobody else's study is cancelled"
        assert "Permission denied" in capsys.readouterr().err


@pytest.mark.usefixtures("loaded")
def test_store_that_may_not_be_read_is_a_fault(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock(store)
    with as_nobody():
        assert cli.main(["ls", "--store", str(store)]) == 2
        assert list(iterate_studies(store)) == []
        with pytest.raises(StudyError, match="cannot be looked into"):
            find_study("good", store=str(store))
    assert "cannot be read as a store (Permission denied)" in capsys.readouterr().err
    assert find_store_fault(store / "none") is None


def test_run_that_may_not_be_read_counts_as_failed_and_is_not_tried(store: Path) -> None:
    paths = StudyPaths(store / "good")
    run = paths.run("0" * 16)
    lock(run.folder)
    with as_nobody():
        state = read_state(run, control=Control(), session=None, run_id="0" * 16)
    assert (state.status, state.retriable, state.withheld) == ("failed", False, True)
    assert "Permission denied" in (state.reason or "")


def test_permission_that_is_lost_for_a_while_changes_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = StudyView(StudyPaths(store / "good"))
    before = view.refresh()
    with monkeypatch.context() as lost:

        def refuse(*_: object, **__: object) -> object:
            raise PermissionError(errno.EACCES, "Permission denied")

        for name in ("open", "stat", "listdir"):
            lost.setattr(os, name, refuse)
        lost.setattr(Path, "stat", refuse)
        assert view.refresh().runs == before.runs
        with pytest.raises(StoreForbiddenError):
            read_plan(view.paths)
    assert view.refresh().runs == before.runs
