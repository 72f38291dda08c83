"""A path that a user gives becomes absolute where it enters, and never later."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import StudyError
from engine.study.paths import RunPaths, StudyPaths, enter_path, find_store


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


def test_only_names_that_are_made_are_attempts(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    for name in ("01", "02", "10", "²", "1", "00", "٣", "-1", "0x1", "1e9", "9" * 400, ".claim-1-1", "100"):
        try:
            (run.attempts / name).mkdir(parents=True)
        except OSError:
            continue
    assert [attempt.number for attempt in run.list_attempts()] == [1, 2, 10, 100]
