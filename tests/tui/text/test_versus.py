"""Spread and likeness of two arms' replicas: what is seen, and what would settle it."""

from __future__ import annotations

from engine.study.metrics_record import ArmMeasures
from tests.helpers.measures import make_measures
from tui.text.format import ASCII
from tui.text.versus import compare_measures, explain_rows


def arm(name: str, disagreement: float) -> ArmMeasures:
    return make_measures(
        name=name, vary=["init"], n=12, accuracy_mean=97.0, accuracy_mean_ci=[96.6, 97.4], accuracy_sd=0.6,
        accuracy_sd_ci=[0.4, 1.1], disagreement=disagreement, disagreement_ci=[disagreement - 0.4, disagreement + 0.4],
    )  # fmt: skip


def test_difference_is_drawn_beside_where_equal_arms_are() -> None:
    one, other = arm("a", 7.0), arm("b", 5.0)
    sd, _, disagreement = compare_measures(one, other, 21)[:3]
    assert disagreement.title == "disagreement, %"
    assert disagreement.difference.startswith("+2.000 [+1.4")
    assert disagreement.picture.index("┊") == 10
    assert disagreement.picture.index("●") > 10, "the first is higher"
    assert (disagreement.verdict, disagreement.is_seen) == ("* apart", True)
    assert sd.title == "accuracy SD, %", "means are compared elsewhere"
    assert sd.difference.startswith("ratio 1.000")
    assert sd.picture[10] == "●", "a dot on the middle hides it"
    assert sd.verdict == "not told apart", "no number of replicas tells equal figures apart"
    assert "┊" not in compare_measures(one, other, 21, ASCII)[2].picture
    assert compare_measures(one, other, 9)[0].picture == "", "no picture where there is no room"


def test_difference_that_is_not_seen_says_how_many_replicas_would_tell() -> None:
    """The logarithms of 5.4 and 5.0 are 0.077 apart, and the error of that is √(0.4/5.4)² + (0.4/5)² / t(11) …"""
    found = compare_measures(arm("a", 5.4), arm("b", 5.0), 21)[2]
    assert not found.is_seen
    more = int(found.verdict.split()[0])
    error = ((0.4 / 5.4) ** 2 + (0.4 / 5.0) ** 2) ** 0.5 / 2.201
    assert abs(12 + more - 12 * (2.802 * error / 0.077) ** 2) < 3


def test_words_say_how_often_chance_marks_one() -> None:
    said = " ".join(explain_rows(compare_measures(arm("a", 7.0), arm("b", 5.0), 21)))
    assert "Of 2 measures at once, chance alone marks at least one with * in about 10 of 100" in said
