"""One study per test, all of its processes gone afterwards; an undisturbed one to compare with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.real_study import Study, make_once, protocol_text, stop_everything


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    file = tmp_path / "small.toml"
    file.write_text(protocol_text())
    made = Study(file, tmp_path / "studies")
    yield made
    stop_everything(made)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The small study, trained without disturbance once; each process of the tests has a copy, which no test changes.

    The command would plan it anew for the home of whoever gives it: that is what `trained` is for.
    """
    folder = make_once(tmp_path_factory, "reference", train_reference)
    store = tmp_path_factory.mktemp("reference") / "studies"
    shutil.copytree(folder / "studies", store)
    return Study(folder / "small.toml", store)


def train_reference(folder: Path) -> None:
    study = Study(folder / "small.toml", folder / "studies")
    study.file.write_text(protocol_text())
    find_home(study).mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("HOME", str(find_home(study)))
        done = study.run()
    assert done.returncode == 0, done.stderr


def find_home(reference: Study) -> Path:
    """The home of who trained the study: plans name data folders below it."""
    return reference.file.parent / "home"


@pytest.fixture
def trained(reference: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """A copy of the trained study, which a test may change."""
    monkeypatch.setenv("HOME", str(find_home(reference)))
    made = Study(reference.file, tmp_path / "studies")
    shutil.copytree(reference.store, made.store)
    yield made
    stop_everything(made)
