"""The plane of a plot: values that it shows, numbers at its axes, a row for what an axis cannot show, zoom."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.text.plot import draw_plot, to_text
from tui.text.scale import Scale, fit_scale, format_tick, log_ticks, spans_decades, ticks
from tui.text.series import Curve


@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e5), st.integers(2, 12))
def test_ticks_are_round_few_and_inside(low: float, span: float, count: int) -> None:
    found = ticks(low, low + span, count)
    assert len(found) <= count + 1
    assert all(low - 1e-6 * span <= value <= low + span * (1 + 1e-6) for value in found)
    if len(found) > 2:
        step = found[1] - found[0]
        mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
        assert min(abs(mantissa - m) for m in (1, 2, 5, 10)) < 1e-3


def test_log_axis_is_for_values_that_span_decades() -> None:
    assert spans_decades([Curve("a", 0, [0.5, 20.0]), Curve("b", 1, [0.0, None])])
    assert not spans_decades([Curve("a", 0, [1.0, 3.0, 0.0])])
    assert not spans_decades([Curve("a", 0, [0.0, 0.0])])


def test_log_axis_that_reaches_less_far_names_what_lies_below() -> None:
    curves = [Curve("a", 0, [7e-9, 7e-9], label="a"), Curve("b", 1, [20.0, 0.6], label="b")]
    scale = fit_scale(curves, log=True, decades=4)
    assert scale is not None
    assert scale.low == 0.6
    assert scale.below == "<0.001"
    rows = to_text(draw_plot(curves, scale, 60, 14)).splitlines()
    assert rows[11].lstrip().startswith("<0.001 ┤")
    assert rows[11].endswith(" a")
    assert fit_scale([Curve("a", 0, [0.0, 0.0])], log=True) == Scale(1, 2, 0.0, 1.0), "zeros alone"


def test_linear_axis_of_sizes_begins_at_zero() -> None:
    curves = [Curve("a", 0, [0.5, 0.6])]
    assert fit_scale(curves, from_zero=True) == Scale(1, 2, 0.0, 0.6)
    assert fit_scale([Curve("a", 0, (0.0, 0.0))], from_zero=True) == Scale(1, 2, 0.0, 1.0), "none below 0"
    assert fit_scale(curves, from_zero=True, log=True) == Scale(1, 2, 0.5, 0.6, log=True)


@pytest.mark.parametrize("log", [False, True])
def test_zoom_shows_a_part_of_the_values_around_one(log: bool) -> None:
    scale = Scale(1, 9, 1.0, 100.0, log)
    part = scale.zoom(4.0, 60.0)
    assert scale.low <= part.low < 60.0 < part.high <= scale.high
    heights = [one.row(part.low, 100) - one.row(part.high, 100) for one in (scale, part)]
    assert heights == pytest.approx([25.0, 100.0])
    assert scale.zoom(4.0, 1000.0).high == pytest.approx(100.0), "never beyond what there is"
    assert scale.zoom(1.0, 5.0) == scale


def test_log_ticks_and_labels() -> None:
    assert log_ticks(0.5, 200, 8) == [1.0, 10.0, 100.0]
    assert log_ticks(0.5, 200, 9) == [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]
    assert log_ticks(0.09, 1100, 5) == pytest.approx([0.1, 1, 10, 100, 1000])
    assert [format_tick(v) for v in (98.5, 0.0001, 1234567.0)] == ["98.5", "0.0001", "1.2e+06"]


def test_scale_is_its_own_inverse_and_fits_flat_series() -> None:
    for log in (False, True):
        scale = Scale(1, 9, 0.5, 40.0, log)
        assert [scale.value(scale.row(v, 17), 17) for v in (0.5, 3.0, 40.0)] == pytest.approx([0.5, 3.0, 40.0])
    flat = fit_scale([Curve("a", 0, [3.0, 3.0])])
    assert flat is not None
    assert flat.low < 3.0 < flat.high
    assert fit_scale([Curve("a", 0, [-1.0, 0.0])], log=True) is None
    assert "no epoch has ended yet" in to_text(draw_plot([], None, 60, 10))
    assert "no room" in to_text(draw_plot([], None, 20, 5))


@pytest.mark.parametrize("below", ["", "0"])
@pytest.mark.parametrize("log", [False, True])
@given(
    values=st.lists(st.none() | st.floats(-1e300, 1e300) | st.sampled_from([0.0, 0.5, 1.0, math.nan, math.inf])),
    rows=st.integers(2, 50), down=st.sampled_from([1, 2, 4]),
)  # fmt: skip
def test_many_values_have_the_dots_that_each_has_alone(
    log: bool, below: str, values: list[float | None], rows: int, down: int
) -> None:
    scale = Scale(1, 9, 0.5, 100.0, log, below)
    assert scale.dots(values, rows, down) == [scale.dot(value, rows, down) for value in values]


@given(
    replicas=st.lists(st.lists(st.none() | st.floats(-100, 100) | st.just(math.nan), max_size=6), max_size=4),
    log=st.booleans(), first=st.integers(1, 3),
)  # fmt: skip
def test_scale_holds_every_value_of_every_replica(replicas: list[list[float | None]], log: bool, first: int) -> None:
    curve = Curve("a", 0, [1.0, 2.0], replicas=replicas)
    alone = [Curve("a", 0, [1.0, 2.0]), *(Curve("b", 1, replica) for replica in replicas)]
    assert fit_scale([curve], first=first, last=6, log=log) == fit_scale(alone, first=first, last=6, log=log)
