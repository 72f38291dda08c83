"""Bold text can be read where colours are greys; other text stays as it is."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from tui.app.legible_filter import LegibleFilter, compare

GROUND = Color.parse("#11151b")


def apply(style: str) -> Style | None:
    (found,) = LegibleFilter().apply([Segment("x", Style.parse(style))], GROUND)
    return found.style


def test_contrast_is_that_of_the_guidelines() -> None:
    assert compare(Color(0, 0, 0), Color(255, 255, 255)) == pytest.approx(21)
    assert compare(Color.parse("#767676"), Color(255, 255, 255)) == pytest.approx(4.54, abs=0.01)


def test_a_fault_that_has_become_dark_grey_is_white() -> None:
    assert apply("bold #3a3a3a") == Style.parse("bold #ffffff")
    assert apply("bold #dddddd on #cccccc") == Style.parse("bold #000000 on #cccccc")


@pytest.mark.parametrize("style", ["bold #d5dbe3", "#3a3a3a", "bold dim #3a3a3a", "bold", "bold #ffffff on #3a3a3a"])
def test_what_can_be_read_or_is_to_be_faint_stays(style: str) -> None:
    assert apply(style) == Style.parse(style)
