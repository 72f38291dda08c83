"""Arms are told apart: by colour and mark together, by marks alone, and as the figures know colours and markers."""

from __future__ import annotations

from typing import get_args

import pytest
from matplotlib.colors import is_color_like
from matplotlib.lines import Line2D
from rich.cells import cell_len
from rich.style import Style

from engine.catalog.arm_marks import COLOURS, HATCHES, MARKS, Ground, find_colour, find_hatch, find_mark
from tui.text.format import ASCII, UNICODE, mark_arm

ARMS = range(len(COLOURS) * len(MARKS))


def test_as_many_arms_as_colours_times_marks_differ_in_one_of_them() -> None:
    assert len({(find_colour(number), find_mark(number)) for number in ARMS}) == len(ARMS) == 88


def test_surfaces_of_forty_arms_differ_in_colour_or_pattern() -> None:
    arms = range(len(COLOURS) * len(HATCHES))
    assert len({(find_colour(number), find_hatch(number)) for number in arms}) == len(arms) == 40
    assert {find_hatch(number) for number in range(len(COLOURS))} == {""}


def test_first_arms_differ_in_both() -> None:
    first = range(len(COLOURS))
    assert len({find_mark(number) for number in first}) == len({find_colour(number) for number in first}) == 8


@pytest.mark.parametrize("ground", get_args(Ground))
def test_colours_of_a_ground_are_colours_and_differ(ground: Ground) -> None:
    found = [find_colour(number, ground) for number in range(len(COLOURS))]
    assert len(set(found)) == len(found)
    assert all(Style.parse(colour).color is not None for colour in found)
    assert ground == "ansi" or all(is_color_like(colour) for colour in found)


def test_paper_has_the_published_palette() -> None:
    """As in Okabe & Ito's table of the colours in RGB from 0 to 255, black last but one here."""
    published = {(0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
                 (204, 121, 167)}  # fmt: skip
    assert {tuple(bytes.fromhex(colour.paper[1:])) for colour in COLOURS} == published


def test_marks_are_one_cell_and_markers_are_known_to_the_figures() -> None:
    for symbols in (UNICODE, ASCII):
        shown = [mark_arm(number, symbols) for number in range(len(MARKS))]
        assert len(set(shown)) == len(MARKS)
        assert all(cell_len(mark) == 1 for mark in shown)
        assert symbols is UNICODE or "".join(shown).isascii()
    assert {mark.marker for mark in MARKS} <= set(Line2D.markers)
