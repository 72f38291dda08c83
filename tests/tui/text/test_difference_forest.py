"""The intervals of a difference as a picture: what lies where on the axis."""

from __future__ import annotations

import pytest
from msgspec import structs

from engine.study.comparison_record import Comparison
from engine.study.decision_record import CompareSettings, DecisionRecord
from tui.text.difference_forest import draw_decision, draw_difference, fit_difference, name_guides
from tui.text.format import ASCII

FOUND = Comparison(
    measure="accuracy", n=(5, 5), examples=400, means=(97.6, 97.0), paired=True, margin=0.5, difference=0.6,
    ci_test_set=(0.2, 1.0), ci_new_examples=(-0.1, 1.3), ci_looking=(-0.6, 1.8),
)  # fmt: skip


def test_zero_margin_and_ends_stand_where_the_axis_says() -> None:
    room = 101
    low, high = fit_difference(FOUND)
    own, looking, _, numbers = draw_difference(FOUND, [FOUND.ci_test_set, FOUND.ci_looking], room)

    def place(value: float) -> int:
        return round((value - low) / (high - low) * (room - 1))

    assert (own.index("├"), own.index("●"), own.index("┤")) == (place(0.2), place(0.6), place(1.0))
    assert own.index("┆") == place(0.0)
    assert [n for n, char in enumerate(own) if char == "┊"] == [place(-0.5), place(0.5)]
    assert looking.index("├") == place(-0.6)
    assert {len(own), len(looking), len(numbers)} == {room}
    assert name_guides(FOUND.margin) == "┆ 0   ┊ ± 0.5, the margin"


def test_decision_is_drawn_with_its_margin_on_an_axis_of_its_own() -> None:
    settings = CompareSettings(a="a", b="b", measure="accuracy", margin=0.2)
    decision = DecisionRecord(
        settings=settings, runs_sha256="", pairs=5, counted=5, difference=0.4, interval=(0.1, 0.8), end="a difference"
    )
    row, line, _ = draw_decision(decision, 61)
    low, high = -0.2 - 0.08, 0.8 + 0.08  # from the margin to the upper end, and 8 % of that on either side

    def place(value: float) -> int:
        return round((value - low) / (high - low) * 60)

    assert [row.index(char) for char in "┆├●┤"] == [place(value) for value in (0.0, 0.1, 0.4, 0.8)]
    assert [n for n, char in enumerate(row) if char == "┊"] == [place(-0.2), place(0.2)]
    assert len(line) == 61
    assert draw_decision(decision, 5) == [], "no room, no picture"


def test_interval_that_is_far_wider_and_a_margin_far_away_are_cut() -> None:
    far = structs.replace(FOUND, ci_looking=(-40.0, 41.0), margin=30.0)
    low, high = fit_difference(far)
    assert high - low < 2
    [row, *_] = draw_difference(far, [far.ci_looking], 40)
    assert (row[0], row[-1]) == ("◂", "▸")
    assert "┊" not in row


@pytest.mark.parametrize("change", [{"ci_test_set": None, "ci_new_examples": None, "ci_looking": None}, {}])
def test_every_picture_can_be_drawn(change: dict[str, None]) -> None:
    found = structs.replace(FOUND, margin=None, **change)
    rows = draw_difference(found, [found.ci_test_set, None], 40, ASCII)
    assert all(row.isascii() and len(row) == 40 for row in rows)
    assert not rows[1].strip(" :"), "no interval, no dot"
    assert draw_difference(found, [found.ci_test_set], 5) == [], "no room, no picture"
    equal = structs.replace(found, difference=0.0)
    assert draw_difference(equal, [(0.0, 0.0)], 21)[0].count("●") == 1
