"""Estimates with their intervals on an axis of characters."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.study.estimate import NOTHING, Estimate
from tui.text.format import ASCII, UNICODE
from tui.text.whiskers import draw_interval, fit_axis


def test_value_is_a_dot_between_the_ends_of_its_interval() -> None:
    assert draw_interval(Estimate(5.0, interval=(2.0, 8.0)), (0.0, 10.0), 11) == "  ├──●──┤  "
    assert draw_interval(Estimate(5.0, interval=(2.0, 8.0)), (0.0, 10.0), 11, ASCII) == "  |--o--|  "
    assert draw_interval(Estimate(0.0, interval=(0.0, 0.0)), (0.0, 10.0), 11) == "●          "
    assert draw_interval(Estimate(10.0), (0.0, 10.0), 11) == "          ●"
    assert draw_interval(NOTHING, (0.0, 10.0), 11) == " " * 11


def test_axis_begins_at_zero_and_holds_everything() -> None:
    assert fit_axis([]) is None
    assert fit_axis([NOTHING]) is None
    assert fit_axis([Estimate(0.0)]) == (0.0, 1.0)
    assert fit_axis([Estimate(3.0, interval=(2.0, 5.0)), Estimate(1.0), NOTHING]) == (0.0, 5.0)
    assert fit_axis([Estimate(-3.0, interval=(-4.0, -2.0))]) == (-4.0, 0.0)


finite = st.floats(-1e12, 1e12)


@example([(5e-324, 0.0, 1.0)], 5)
@given(st.lists(st.tuples(finite, st.floats(0, 1e9), st.floats(0, 1e9)), min_size=1, max_size=4), st.integers(5, 40))
def test_drawing_has_its_width_and_one_dot(rows: list[tuple[float, float, float]], width: int) -> None:
    estimates = [Estimate(value, interval=(value - low, value + high)) for value, low, high in rows]
    axis = fit_axis(estimates)
    assert axis is not None
    for estimate in estimates:
        drawn = draw_interval(estimate, axis, width)
        assert len(drawn) == width
        assert drawn.count(UNICODE.dot) == 1
        inner = drawn.strip()
        assert set(inner) <= {UNICODE.dot, UNICODE.bar_rest, *UNICODE.whiskers, *UNICODE.beyond}


@pytest.mark.parametrize("value", [-1e300, 1e300])
def test_what_lies_outside_is_drawn_at_the_end(value: float) -> None:
    drawn = draw_interval(Estimate(value), (0.0, 1.0), 9)
    assert drawn.index(UNICODE.dot) == (0 if value < 0 else 8)
