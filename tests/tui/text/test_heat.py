"""The square over pairs as characters, and one pair of it in words."""

from __future__ import annotations

from tui.text.format import ASCII
from tui.text.heat import Heat, describe_pair, describe_scale, draw_heat

HEAT = Heat(
    "disagreement", "%", (1, 2, 4), ("a", "b", "c"), (2, 0, 1), ((0.0, 2.0, 3.0), (2.0, 0.0, 6.0), (3.0, 6.0, 0.0))
)


def test_square_is_drawn_in_its_order_from_the_least_to_the_most() -> None:
    assert ["".join(row) for row in draw_heat(HEAT)] == ["\\░█", "░\\ ", "█ \\"]
    assert ["".join(row) for row in draw_heat(HEAT, ASCII)] == ["\\.#", ".\\ ", "# \\"]
    assert describe_scale(HEAT) == "disagreement, %: 2 ' ' to 6 '█'"


def test_pair_is_named_by_replicas_and_runs() -> None:
    assert describe_pair(HEAT, 0, 2) == "replicas 4 and 2: 6 %, more than 2 of 3 pairs; runs c and b"
    assert describe_pair(HEAT, 1, 1) == "replica 1, run a: with itself"


def test_equal_pairs_are_all_the_least() -> None:
    even = Heat("CKA", "of 1", (1, 2), ("a", "b"), (0, 1), ((1.0, 1.0), (1.0, 1.0)))
    assert ["".join(row) for row in draw_heat(even)] == ["\\ ", " \\"]
    assert describe_scale(even) == "CKA, of 1: 1 of every two"
    assert describe_pair(even, 0, 1) == "replicas 1 and 2: 1 of 1, as every two; runs a and b"
