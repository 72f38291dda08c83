"""The figure of growth: a panel for each unmoved run."""

from __future__ import annotations

from typing import Any

import pytest

from engine.report.figures import draw_growth
from tests.helpers.growth import make_arms, make_growth
from tests.helpers.measures import make_measures


def test_growth_has_a_panel_for_each_unmoved_run_with_the_figures_of_its_arms() -> None:
    other = make_measures(name="other", growth=make_growth(twin="another", start=30))
    figure = draw_growth([*make_arms(), other])
    assert figure is not None
    first, second = figure.axes
    lines: list[Any] = list(first.lines)
    assert [line.get_label() for line in lines] == ["net: 1 ulp", "net: 2 ulp", "net: 4 ulp"]
    assert list(lines[0].get_xdata()) == [0, 50, 100]
    assert list(lines[0].get_ydata()) == pytest.approx([1e-8, 1e-5, 1e-2])
    assert first.get_yscale() == second.get_yscale() == "log"
    moved: Any = second.lines[0]
    assert list(moved.get_xdata()) == [30, 80, 130], "from the step on before which it is made"
    assert draw_growth(make_arms()[:1]) is None
