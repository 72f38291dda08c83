"""Pictures of whatever figures a file may hold: every place is a number, and no figure ends the page."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.study.estimate import Estimate
from tui.html.curves import Line, draw_lines
from tui.html.drawing import Scale, draw_share, show_place, tag
from tui.html.forest import Row, draw_forest
from tui.html.layers import encode_heat

FIGURES = st.floats(allow_nan=True, allow_infinity=True)
NO_NUMBER = re.compile(r'="[^"]*\b(nan|inf)\b[^"]*"')


@given(st.floats(allow_nan=False, allow_infinity=False), FIGURES, FIGURES, st.booleans())
def test_intervals_of_any_figures_are_drawn(value: float, low: float, high: float, zero: bool) -> None:
    rows = [Row(0, "a", Estimate(value, interval=(low, high)), "", (high,)), Row(9, "b", Estimate(1.0), "")]
    assert not NO_NUMBER.search(draw_forest(rows, "x", zero=zero))


@given(st.lists(FIGURES, min_size=1, max_size=4), st.booleans())
def test_lines_through_any_figures_are_drawn(values: list[float], log: bool) -> None:
    points = [(float(epoch), value) for epoch, value in enumerate(values, start=1)]
    band = [(epoch, value, values[0]) for epoch, value in points]
    assert not NO_NUMBER.search(draw_lines([Line(0, "a", points, band)], "x", log=log))


@pytest.mark.parametrize(("value", "place"), [(1.0, 0.0), (10.0, 50.0), (100.0, 100.0), (0.0, 0.0), (1e9, 100.0)])
def test_logarithmic_axis_gives_each_decade_the_same_room(value: float, place: float) -> None:
    assert Scale(1.0, 100.0, 0.0, 100.0, log=True).place(value) == pytest.approx(place)


@given(st.floats(min_value=-1e6, max_value=1e6))
def test_places_are_short_and_near(value: float) -> None:
    shown = show_place(value)
    assert float(shown) == pytest.approx(value, abs=0.051)
    assert len(shown.partition(".")[2]) <= 1


def test_elements_escape_text_and_attributes() -> None:
    made = tag("g", "<b>\x00", tag("i", "x"), title='"&<', class_=None)
    assert made == '<g title="&#34;&amp;&lt;">&lt;b&gt;\\x00<i>x</i></g>'


@given(FIGURES)
def test_heat_of_any_figure_is_a_picture(value: float) -> None:
    assert encode_heat([[1.0, value], [value, 1.0]]).startswith("data:image/png;base64,")


@given(FIGURES)
def test_bar_is_never_longer_than_the_whole(share: float) -> None:
    widths = [float(one) for one in re.findall(r'<rect x="0" y="0" width="([^"]+)"', draw_share(share))]
    assert all(0 <= width <= 110 for width in widths)
    assert len(widths) == 1
