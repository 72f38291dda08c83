"""Since when replicas differ, in words."""

from __future__ import annotations

import pytest

from engine.study.parting import Partings, part_replicas
from tui.text.parting import describe_broken_control, describe_partings


def test_broken_control_is_named_with_the_command_that_finds_the_reason() -> None:
    partings = part_replicas([("s", "a", "b"), ("s", "a", "b"), ("s", "a", "c")])
    assert describe_broken_control("Control", "quick", partings) == (
        "Control: replicas 1 and 3 differ from epoch 2 on, and nothing varies between them: "
        "`nondet-tui diverge quick:Control 1 3` finds what does"
    )
    assert "differ before the first step" in (describe_broken_control("C", "q", part_replicas([("s",), ("t",)])) or "")
    assert describe_broken_control("C", "q", part_replicas([("s",), ("s",)])) is None
    assert describe_broken_control("C", "q", None) is None
    assert "\x1b" not in (describe_broken_control("\x1b", "q", part_replicas([("s",), ("t",)])) or "")


MANY = Partings(epochs={1: 1, 2: 1, 3: 1, 4: 2, 5: 3})


@pytest.mark.parametrize(
    ("partings", "said"),
    [
        (Partings(epochs={0: 1}), "1 pair before the first step"),
        (
            Partings(epochs={1: 2, 3: 1}, equal=1, compared=9),
            "2 pairs in epoch 1, 1 pair in epoch 3, 1 pair never in 9 epochs",
        ),
        (MANY, "1 pair in epoch 1, 1 pair in epoch 2, 1 pair in epoch 3, 5 later"),
        (Partings(equal=10, compared=4, unknown=(2,)), "10 pairs never in 4 epochs, 1 without digests"),
        (Partings(), "nothing to compare"),
    ],
)
def test_pairs_are_counted_by_epoch(partings: Partings, said: str) -> None:
    assert describe_partings(partings) == said
