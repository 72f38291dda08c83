"""The verdict on two arms in words."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from engine.study.comparison_record import ArmsCompared, Comparison, Narrowed
from tui.text.arms_compared import (
    Pair,
    describe_pair,
    explain,
    list_comparisons,
    list_intervals,
    list_narrowing,
    list_remarks,
    say_headline,
)
from tui.text.format import ASCII

FOUND = Comparison(
    measure="accuracy", n=(5, 5), examples=400, means=(97.6, 97.0), paired=True, margin=0.5, difference=0.6,
    ci_test_set=(0.2, 1.0), verdict="real and worth having",
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "Real and worth having: A is better than B by 0.60 % points"),
        ({"difference": -0.6}, "Real and worth having: B is better than A by 0.60 % points"),
        ({"measure": "cross-entropy"}, "Real and worth having: B is better than A by 0.60 nats"),
        ({"measure": "perplexity", "difference": -3.0}, "Real and worth having: A is better than B by 3.00"),
        ({"measure": "f1", "examples": 0}, "Real and worth having: A is above B by 0.60"),
        ({"measure": "accuracy", "examples": 0, "difference": -0.6}, "Real and worth having: B is above A by 0.60"),
        (
            {"verdict": "real, smaller than the margin"},
            "Real, smaller than the margin: A is better than B by 0.60 % points",
        ),
        ({"verdict": "no difference that matters"}, "No difference that matters: A - B lies within +- 0.5 % points"),
        ({"verdict": "undecided"}, "Undecided: A and B are not told apart"),
    ],
)
def test_headline_says_which_is_better(change: dict[str, Any], said: str) -> None:
    assert say_headline(structs.replace(FOUND, **change), ASCII) == said


def test_undecided_says_what_takes_a_margin() -> None:
    undecided = structs.replace(FOUND, verdict="undecided", ci_test_set=(-0.2, 1.0), margin=None)
    assert explain(undecided, "w")[-1] == "The interval on this test set holds 0. w says what difference would matter."
    wanted = structs.replace(undecided, margin=0.1, replicas_needed=9)
    assert explain(wanted)[-1] == "4 more replicas of each arm would narrow it to 0.1 % points to each side."
    hopeless = structs.replace(undecided, margin=1e-9, replicas_needed=None)
    assert (
        explain(hopeless)[-1]
        == "More than 10,000,000 replicas of each arm would narrow it to 1e-09 % points to each side."
    )
    assert list_narrowing(hopeless)[0] == ("for ± 1e-09 % points", "more than 10,000,000 replicas of each arm")


def test_missing_interval_says_what_it_takes() -> None:
    unknown = structs.replace(FOUND, verdict="undecided", ci_test_set=None)
    assert explain(structs.replace(unknown, n=(1, 5))) == ["One replica shows no spread."]
    [said] = explain(structs.replace(unknown, n=(2, 5)))
    assert said.startswith("Equal figures of so few replicas show no spread")


def test_interval_that_decided_comes_first() -> None:
    looked = structs.replace(FOUND, ci_looking=(0.1, 1.1))
    names = [row.name for row in list_intervals(looked)]
    assert names == ["this test set", "while looking"]
    assert [row.name for row in list_intervals(structs.replace(looked, sequential=True))] == names[::-1]


def test_figures_alone_have_no_interval_for_new_examples() -> None:
    found = structs.replace(FOUND, examples=0, measure="f1", narrowed=Narrowed(test_set=0.25), replicas_needed=4)
    assert list_narrowing(found) == [
        ("for ± 0.5", "4 replicas of each arm, which there are"),
        ("twice the replicas", "± 0.25, now 0.40"),
    ]
    lines = describe_pair(Pair(("a", "b"), ArmsCompared(comparison=found)))
    assert not any("new examples" in line or "% points" in line for line in lines)


def test_p_values_hold_for_all_comparisons_at_once() -> None:
    first, second = (structs.replace(FOUND, p_value=chance) for chance in (0.02, 0.03))
    pairs = [Pair(("a", "b"), ArmsCompared(comparison=first, others=(second,)))] * 2
    assert [one.chance for one in list_comparisons(pairs)] == pytest.approx([0.08, 0.08, 0.08, 0.08])


def test_replicas_that_diverged_are_told_apart_from_those_left_out_otherwise() -> None:
    pair = Pair(("a", "b"), ArmsCompared(comparison=FOUND, left_out=(2, 3), diverged=(0, 3)))
    assert list_remarks(pair) == [
        ("left out", ["0 of A, 3 of B diverged: the verdict is about those that did not"]),
        ("left out", [
            "2 of A, 0 of B: missing, damaged, without a partner of the same seeds, or the same network once more"
        ]),
    ]  # fmt: skip


def test_replicas_without_the_number_are_told_apart_from_those_left_out_otherwise() -> None:
    number = structs.replace(FOUND, examples=0, measure="f1")
    pair = Pair(("a", "b"), ArmsCompared(comparison=number, left_out=(2, 2), without_number=(1, 2)))
    told = "\n".join(describe_pair(pair))
    assert "1 of A, 2 of B left no f1" in told
    assert "1 of A, 0 of B: missing, damaged" in told
    only = Pair(("a", "b"), ArmsCompared(comparison=number, left_out=(1, 2), without_number=(1, 2)))
    assert "missing, damaged" not in "\n".join(describe_pair(only))
