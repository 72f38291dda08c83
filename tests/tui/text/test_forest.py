"""The forest plot: an estimate stands where the rule of three puts it on its axis, and all fits the width."""

from __future__ import annotations

import pytest

from engine.study.metrics_record import ArmMeasures
from tests.helpers.measures import make_measures
from tui.text.forest import ForestLine, draw_axis, draw_forest
from tui.text.format import ASCII, UNICODE, Symbols
from tui.text.tables import Column, make_columns


def find_column(key: str) -> Column:
    return next(column for column in make_columns() if column.measure.key == key)


def make_arms() -> list[tuple[int, ArmMeasures]]:
    spreads = {"Zero": (0.0, None), "Half": (2.0, [1.0, 3.0]), "Most": (4.0, [3.0, 4.0])}
    return [
        (number, make_measures(name=name, n=8, accuracy_sd=sd, accuracy_sd_ci=ends))
        for number, (name, (sd, ends)) in enumerate(spreads.items())
    ]


def find_row(lines: list[ForestLine], arm: str) -> str:
    return next(line.text for line in lines if line.arm == arm)


@pytest.mark.parametrize("symbols", [UNICODE, ASCII])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_values_and_ends_stand_where_their_share_of_the_axis_is(width: int, symbols: Symbols) -> None:
    lines = draw_forest(make_arms(), [find_column("accuracy_sd")], width, symbols=symbols)
    zero, half, most = (find_row(lines, arm) for arm in ("Zero", "Half", "Most"))
    name = len(lines[0].text) - len(lines[0].text.lstrip())
    start, end = (row.index(symbols.dot, name) for row in (zero, most))
    low, high = (half.index(mark, name) for mark in symbols.whiskers) if symbols is UNICODE else (None, None)
    middle = half.index(symbols.dot, name)
    assert abs((middle - start) / (end - start) - 2 / 4) <= 1 / (end - start)
    if low is not None and high is not None:
        assert abs((low - start) / (end - start) - 1 / 4) <= 1 / (end - start)
        assert abs((high - start) / (end - start) - 3 / 4) <= 1 / (end - start)
    assert all(len(line.text.rstrip()) <= width for line in lines)


def test_every_arm_has_its_mark_and_its_number_and_missing_values_are_said() -> None:
    arms = [*make_arms(), (3, make_measures(name="None", n=1))]
    lines = draw_forest(arms, [find_column("accuracy_sd")], 100, marks=["●", "▲", "■", "◆"])
    heads = {line.arm: line.pieces[0] for line in lines if line.arm is not None}
    assert {arm: (piece.text[0], piece.arm) for arm, piece in heads.items()} == {
        "Zero": ("●", 0), "Half": ("▲", 1), "Most": ("■", 2), "None": ("◆", 3),
    }  # fmt: skip
    assert find_row(lines, "None").split() == ["◆", "None", "–"]
    assert draw_forest([], [find_column("accuracy_sd")], 80) == draw_forest(arms, [], 80) == []


def test_columns_that_have_no_room_beside_each_other_stand_below() -> None:
    columns = [find_column(key) for key in ("accuracy_sd", "disagreement", "correlation")]
    wide, narrow = (draw_forest(make_arms(), columns, width) for width in (160, 40))
    assert sum(line.arm == "Half" for line in wide) == 1
    assert sum(line.arm == "Half" for line in narrow) > 1
    assert all(len(line.text.rstrip()) <= 40 for line in narrow)


@pytest.mark.parametrize("axis", [(0.0, 97.0), (0.0, 1.06), (92.7, 96.9), (0.61, 1.02), (-0.31, 1.9), (0.0, 7.2)])
@pytest.mark.parametrize("room", [12, 14, 20, 28])
def test_axis_has_two_numbers_at_least(axis: tuple[float, float], room: int) -> None:
    """From one number alone nobody reads a scale."""
    _, numbers = draw_axis(axis, room, UNICODE)
    read = [float(number) for number in numbers.split()]
    assert len(read) > 1
    assert read == sorted(read)
    assert axis[0] <= read[0] <= read[-1] <= axis[1]
