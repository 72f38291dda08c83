"""Counts in words."""

from __future__ import annotations

import pytest

from tui.text.counts import all_of, be, plural


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, ("0 runs", "are")),
        (1, ("1 run", "is")),
        (2, ("2 runs", "are")),
    ],
)
def test_noun_and_verb_agree_with_their_count(count: int, said: tuple[str, str]) -> None:
    assert (plural(count, "run"), be(count)) == said


def test_all_of_one_is_the_only_one() -> None:
    assert (all_of(1, "run"), all_of(3, "run")) == ("the only run", "all 3 runs")
