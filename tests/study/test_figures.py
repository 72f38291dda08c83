"""The numbers of a user's own program by name: found in any order, bounded, and added up like accuracies."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from engine.study.curves_record import FIELDS
from engine.study.epochs import EpochRecord, append_epoch
from engine.study.figures import EVERY_NUMBER, LOSS, MOST_NUMBERS, list_names, read_figure
from engine.study.series import ArmSeries
from tests.helpers.records import make_epoch
from tui.text.figure_names import name_figure


def report(epoch: int, **scores: float) -> EpochRecord:
    return msgspec.structs.replace(make_epoch(epoch), test_accuracy=None, train_loss=1.5, scores=scores)


def test_numbers_are_found_whenever_they_come() -> None:
    assert list_names([make_epoch(1)], []) == [], "what this program trains reports nothing else"
    first = list_names([report(1)], [])
    assert first == [LOSS]
    assert list_names([report(2, f1=0.5)], first) == [LOSS, "score f1"]
    many = {f"s{number}": 1.0 for number in range(50)}
    assert len(list_names([report(1, **many)], [])) == MOST_NUMBERS


def test_figure_is_read_by_its_name() -> None:
    record = report(1, f1=0.5, broken=math.nan)
    assert read_figure(record, "score f1") == 0.5
    assert read_figure(record, "score other") is None
    assert read_figure(record, "score broken") is None
    assert read_figure(record, LOSS) == 1.5
    assert read_figure(record, "reported") == 0.5
    assert {name: read_figure(make_epoch(1), name) for name in FIELDS} == {
        name: getattr(make_epoch(1), field) for name, field in FIELDS.items()
    }


@pytest.mark.parametrize(
    ("name", "title"), [("score f1", "f1"), (LOSS, "training loss"), ("accuracy", "test accuracy, %")]
)
def test_axis_calls_a_figure_by_its_own_name(name: str, title: str) -> None:
    assert name_figure(name) == title
    assert name_figure("score \x1b[31mred").isprintable()


def test_numbers_are_added_up_like_other_figures() -> None:
    series = ArmSeries("a", (*FIELDS, EVERY_NUMBER))
    series.add([report(1, f1=0.5), report(2, f1=0.7)])
    series.add([report(1, f1=0.6)])
    first = series.at("score f1", 1)
    assert first is not None
    assert (first.n, first.mean, first.low, first.high) == (2, pytest.approx(0.55), 0.5, 0.6)
    assert series.at("score f1", 2) is not None
    alone = ArmSeries("a", tuple(FIELDS))
    alone.add([report(1, f1=0.5)])
    assert alone.at("score f1", 1) is None, "nobody asked"


def test_epochs_of_a_file_keep_their_numbers(tmp_path: Path) -> None:
    append_epoch(tmp_path / "epochs.jsonl", report(1, f1=0.5))
    assert b'"f1":0.5' in (tmp_path / "epochs.jsonl").read_bytes()
