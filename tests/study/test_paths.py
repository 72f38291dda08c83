"""A path that a user gives becomes absolute where it enters, and never later."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import StudyError
from engine.study.paths import StudyPaths, enter_path, find_store


def test_store_is_absolute_wherever_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_store("mine") == tmp_path / "mine"
    assert find_store("~/mine") == Path.home() / "mine"
    monkeypatch.setenv("NONDET_STORE", "theirs")
    assert find_store(None) == tmp_path / "theirs"
    monkeypatch.delenv("NONDET_STORE")
    assert find_store(None) == tmp_path / "studies"


def test_relative_study_folder_is_a_broken_invariant() -> None:
    with pytest.raises(ValueError, match="absolute"):
        StudyPaths(Path("studies/tiny"))


def test_home_of_nobody_is_named() -> None:
    with pytest.raises(StudyError, match=r"~nosuchuser/x: there is no such user"):
        enter_path("~nosuchuser/x")
