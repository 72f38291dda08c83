"""Replicas as marks on an axis."""

from __future__ import annotations

import re

from tui.text.format import ASCII
from tui.text.strips import draw_strips


def test_every_replica_is_counted_once() -> None:
    one, other, _, numbers = draw_strips([("●", [1.0, 2.0, 2.0, 3.0]), ("▲", [2.0] * 12 + [1.0])], 41)
    assert one.replace(" ", "") == "●2●"
    assert other.replace(" ", "") == "▲+"
    assert one.index("2") == other.index("+") == 20, "the middle"
    assert "2" in re.findall(r"\S+", numbers)


def test_equal_figures_are_in_one_place() -> None:
    rows = draw_strips([("o", [5.0, 5.0])], 30, ASCII)
    assert rows[0].split() == ["2"]
    assert all(row.isascii() for row in rows)
