"""Rows of bars: as high as their figures, no more than there is room for, also in characters that every stream has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.text.format import ASCII, UNICODE
from tui.text.sparks import ASCII_BARS, BARS, draw_spark


@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 8, "▁▂▃▄▅▆▇█"),
        ([0.0, 9.0, 9.0, 9.0, 7.0], 2, "▁█"),
        ([5.0, 5.0], 4, "▁▁"),
        ([5.0], 0, ""),
        ([], 4, ""),
        ([3.0, 1.0], 1, "▁"),
    ],
)
def test_bars_are_as_high_as_their_figures(values: list[float], width: int, drawn: str) -> None:
    assert draw_spark(values, width) == drawn


def test_ends_of_the_scale_may_be_given() -> None:
    assert draw_spark([0.0, 50.0, 100.0], 3, low=0.0, high=100.0) == "▁▅█"
    assert draw_spark([100.0, 100.0], 3, low=0.0, high=100.0) == "██"
    assert draw_spark([0.0, 100.0], 2, ASCII) == "_#"


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40), st.integers(1, 20))
def test_larger_figures_never_have_lower_bars(values: list[float], width: int) -> None:
    for symbols, bars in ((UNICODE, BARS), (ASCII, ASCII_BARS)):
        drawn = draw_spark(sorted(values), width, symbols)
        assert len(drawn) == min(width, len(values))
        assert [bars.index(bar) for bar in drawn] == sorted(bars.index(bar) for bar in drawn)
