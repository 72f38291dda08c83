"""Writing a study's folder, and bringing an existing one up to a changed protocol."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from engine.dispatch import launch
from engine.dispatch.launch import data_root, done_runs, plan_protocol, prepare_study
from engine.errors import StudyError
from engine.protocol.definition import Protocol
from engine.protocol.load import load_protocol
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.run_records import read_recipe
from engine.study.study_plan import read_plan
from tests.helpers.records import make_result, make_supervisor


@pytest.fixture
def file(tmp_path: Path, protocol_text: str) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(protocol_text)
    return path


def prepare(file: Path, *overrides: str, store: str | None = None) -> tuple[StudyPaths, Protocol]:
    protocol = load_protocol(file, overrides=overrides)
    return prepare_study(protocol, plan_protocol(protocol), store=store), protocol


def test_folder_is_the_contracts(file: Path, protocol_text: str) -> None:
    paths, protocol = prepare(file)
    assert paths.protocol.read_text() == protocol_text
    plan = plan_protocol(protocol)
    read = read_plan(paths)
    assert read.order == tuple(plan.recipes)
    assert [arm.runs for arm in read.arms] == [arm.runs for arm in plan.arms]
    for run_id, recipe in plan.recipes.items():
        assert read_recipe(paths.run(run_id), run_id) == recipe
    assert set(read.provenance.versions) >= {"torch", "numpy", "python"}


@pytest.mark.slow
def test_preparing_again_changes_nothing(file: Path) -> None:
    paths, _ = prepare(file)
    before = {path: path.stat().st_mtime_ns for path in paths.folder.rglob("*")}
    prepare(file)
    assert {path: path.stat().st_mtime_ns for path in paths.folder.rglob("*")} == before


@pytest.mark.slow
def test_raised_replicas_keep_the_runs_that_are_there(file: Path) -> None:
    paths, protocol = prepare(file)
    first = plan_protocol(protocol)
    for run_id in first.recipes:
        paths.run(run_id).predictions.write_bytes(b"x")
        write_record(paths.run(run_id).result, make_result(run=run_id))
    _, raised = prepare(file, "protocol.replicas=5")
    plan = plan_protocol(raised)
    assert done_runs(paths, plan) == set(first.recipes)
    assert len(plan.recipes) == 10
    assert read_plan(paths).order == tuple(plan.recipes)


def test_earlier_protocol_is_kept(file: Path, protocol_text: str) -> None:
    paths, _ = prepare(file)
    file.write_text(protocol_text.replace("epochs = 2", "epochs = 3"))
    prepare(file)
    kept = list(paths.history.iterdir())
    assert [path.read_text() for path in kept] == [protocol_text]
    assert "epochs = 3" in paths.protocol.read_text()


@pytest.mark.slow
def test_study_that_runs_is_not_changed_under_its_supervisor(file: Path) -> None:
    paths, _ = prepare(file)
    write_record(paths.supervisor, make_supervisor())
    prepare(file)  # the same plan may be joined
    with pytest.raises(StudyError, match="nondet-tui cancel tiny"):
        prepare(file, "train.epochs=9")
    assert read_plan(paths).epochs == dict.fromkeys(read_plan(paths).order, 2)


@pytest.mark.slow
def test_plan_of_a_later_version_is_left_alone(file: Path) -> None:
    paths, _ = prepare(file)
    paths.plan.write_text('{"v": 99}')
    with pytest.raises(StudyError, match="has format 99"):
        prepare(file)
    assert paths.plan.read_text() == '{"v": 99}'


@pytest.mark.slow
def test_damaged_plan_is_written_anew(file: Path) -> None:
    paths, _ = prepare(file)
    paths.plan.write_text("{")
    prepare(file)
    assert read_plan(paths).study == "tiny"


def test_store_is_the_option_then_the_variable(file: Path, tmp_path: Path) -> None:
    assert prepare(file, store=str(tmp_path / "here"))[0].folder == tmp_path / "here" / "tiny"
    assert prepare(file)[0].folder == Path(os.environ["NONDET_STORE"]) / "tiny"


def test_relative_data_root_is_seen_from_the_protocol(file: Path) -> None:
    assert data_root(load_protocol(file, overrides=("data.root=files",))) == file.parent.resolve() / "files"
    assert data_root(load_protocol(file)) == Path.home() / "datasets"


def test_commit_is_read_without_a_lock_on_the_repository(tmp_path: Path) -> None:
    """A killed process would leave the lock behind, and no commit could be made any more."""
    git = ("git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@b.c")
    assert launch._git_commit(tmp_path) is None
    subprocess.run([*git, "init", "-q"], check=True)
    assert launch._git_commit(tmp_path) is None
    code = tmp_path / "code.py"
    code.write_text("")
    for words in (("add", "code.py"), ("commit", "-q", "-m", "code")):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    os.utime(code, (1, 1))  # what git keeps of the file is out of date, and would be written anew
    before = (tmp_path / ".git" / "index").read_bytes()
    assert launch._git_commit(tmp_path) == head
    assert (tmp_path / ".git" / "index").read_bytes() == before
    (tmp_path / "new.py").write_text("")
    assert launch._git_commit(tmp_path) == head
    code.write_text("changed")
    assert launch._git_commit(tmp_path) == f"{head}+changes"
