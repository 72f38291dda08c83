"""A user's data function that returns other examples from run to run is found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import DataError
from engine.recipe import DataRecipe
from engine.study.paths import StudyPaths
from engine.training.data import repeatable
from engine.training.data.datasets import Dataset
from engine.training.data.repeatable import require_data_of_study, require_same_data

MINE = DataRecipe(target="mine:load", target_sha256="ab")


def make_data(seed: int = 1) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    inputs, labels = torch.randn(6, 4, generator=generator), torch.arange(6) % 2
    return Dataset(inputs, labels, inputs[:4].clone(), labels[:4].clone(), classes=2)


@pytest.fixture
def study(tmp_path: Path) -> StudyPaths:
    (tmp_path / "study").mkdir()
    return StudyPaths(tmp_path / "study")


def test_same_examples_pass_whatever_is_drawn_from_them(study: StudyPaths) -> None:
    for recipe in (MINE, MINE, replace(MINE, sample="bootstrap")):
        require_same_data(study, recipe, make_data())


@pytest.mark.parametrize("part", ["train_inputs", "train_labels", "test_inputs", "test_labels"])
def test_other_order_of_any_part_is_refused(study: StudyPaths, part: str) -> None:
    data = make_data()
    require_same_data(study, MINE, data)
    other = replace(data, **{part: getattr(data, part).flip(0)})
    with pytest.raises(DataError, match=r"^mine:load: returned other examples than for the study's runs before"):
        require_same_data(study, MINE, other)
    require_same_data(study, MINE, data)


def test_other_scaling_is_refused(study: StudyPaths) -> None:
    require_same_data(study, MINE, make_data())
    with pytest.raises(DataError, match="other examples"):
        require_same_data(study, MINE, replace(make_data(), mean=(0.5,), std=(1.0,)))


def test_edited_function_and_other_size_may_return_others(study: StudyPaths) -> None:
    require_same_data(study, MINE, make_data(1))
    require_same_data(study, replace(MINE, target_sha256="cd"), make_data(2))
    require_same_data(study, replace(MINE, train_size=3), make_data(3))


def test_presets_leave_no_record(study: StudyPaths) -> None:
    require_same_data(study, DataRecipe(preset="digits"), make_data())
    assert list(study.folder.iterdir()) == []


def test_record_that_another_worker_takes_back_is_written(study: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had made the file, and found no room to fill it."""
    monkeypatch.setattr(repeatable, "WRITING_S", 0.01)
    monkeypatch.setattr(repeatable, "create_file", lambda path, content: False)
    require_same_data(study, MINE, make_data())
    with pytest.raises(DataError):
        require_same_data(study, MINE, make_data(2))


def test_record_of_a_killed_worker_is_written_anew(study: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeatable, "WRITING_S", 0.01)
    require_same_data(study, MINE, make_data())
    (record,) = (study.folder / "data").iterdir()
    record.write_bytes(b"")
    require_same_data(study, MINE, make_data(2))
    with pytest.raises(DataError):
        require_same_data(study, MINE, make_data(1))


def test_runs_are_trained_again_on_the_data_of_their_study_alone(study: StudyPaths) -> None:
    require_data_of_study(study, MINE, make_data(1))  # of a study that kept no record nobody knows
    assert not study.data_digest("x").parent.exists(), "nothing is written"
    require_same_data(study, MINE, make_data(1))
    require_data_of_study(study, MINE, make_data(1))
    with pytest.raises(DataError, match=r"^mine:load: .* than those that the study was trained on"):
        require_data_of_study(study, MINE, make_data(2))
