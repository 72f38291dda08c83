"""The growth of moved bits in words and pictures, from measures that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from engine.study.estimate import Estimate
from tests.helpers.growth import make_arms, make_growth, make_response
from tests.helpers.measures import make_measures
from tui.text.answers.growth import answer_growth
from tui.text.answers.sentences import Found
from tui.text.format import ASCII, UNICODE
from tui.text.growth import (
    MOST_PLACES,
    describe_growth,
    describe_response,
    group_growth,
    list_growth,
    make_growth_curves,
    make_growth_rows,
)


def test_a_family_is_named_by_what_its_arms_have_in_common() -> None:
    arms = [*make_arms(), make_measures(name="other", growth=make_growth(twin="another"))]
    families = group_growth(arms)
    assert [family.name for family in families] == ["net", "other"]
    assert [number for number, _, _ in families[0].arms] == [1, 2, 3]
    assert [row[0] for row in make_growth_rows(families[0])] == ["1 ulp", "2 ulp", "4 ulp"]
    assert group_growth(arms, {"net: 1 ulp": 9})[0].arms[0][0] == 9
    assert (
        group_growth([make_measures(name="a", growth=make_growth(replicas=(), steps=(), mean=(), low=(), high=()))])
        == []
    )


def test_a_curve_lies_between_its_points_by_logarithms() -> None:
    (family,) = group_growth(make_arms(start=20))
    curves, word = make_growth_curves(family, 20, UNICODE)
    assert word == "step"
    assert curves[0].middle[:19] == (None,) * 19, "before the move there is no distance"
    values = {place: curves[0].middle[place - 1] for place in (20, 45, 70, 120)}
    assert values == pytest.approx({20: 1e-8, 45: 10**-6.5, 70: 1e-5, 120: 1e-2})


def test_a_long_curve_is_drawn_by_epoch() -> None:
    last = 10 * MOST_PLACES
    (family,) = group_growth(make_arms(steps=(0, last // 2, last)))
    curves, word = make_growth_curves(family, 20, UNICODE)
    assert word == "epoch"
    assert len(curves[0].middle) == last // 10
    assert curves[0].middle[last // 20 - 1] == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.05, 0.15, "hardly depends on how far"),
        (0.9, 1.1, "is proportional to how far"),
        (0.3, 0.7, "grows with how far"),
        (-0.4, 0.6, "does not tell whether"),
    ],
)
def test_what_an_exponent_means_follows_from_its_interval(low: float, high: float, said: str) -> None:
    assert said in describe_response(make_response(low, high))


def test_few_replicas_say_nothing_of_the_exponent() -> None:
    assert "too few replicas" in describe_response(make_response(0, 0, exponent=Estimate(0.0)))


def test_sentences_hold_the_figures() -> None:
    response = make_response(
        0.0,
        0.1,
        disagreement_exponent=Estimate(0.02, interval=(0.01, 0.03)),
        steps_per_doubling=Estimate(5.25, interval=(4.0, 6.5)),
        above_floor=True,
    )
    arms = [make_measures(name=name, growth=make_growth(start=30), response=response) for name in response.arms]
    (family,) = group_growth(arms)
    (said,) = describe_growth(family)
    for part in ("net, moved after epoch 3", "size^0.05 [0.00 0.10]", "size^0.02 [0.01 0.03]", "5.2 [4.0 6.5] steps"):
        assert part in said
    assert "3 sizes, those larger than what rounding makes of the smallest" in said
    (answer,) = answer_growth(Found(arms))
    assert (answer.page, answer.arms) == ("growth", response.arms)
    assert "size^0.05 [0.00 0.10], over 3 sizes" in answer.text
    assert "larger than what rounding" in answer.because


def test_one_size_alone_is_told_by_itself() -> None:
    growing = make_measures(name="Bit", growth=make_growth(grown=2))
    (answer,) = answer_growth(Found([growing]))
    assert answer.text.startswith("Bit: a moved weight doubles in 5 steps in 2 of 3 replicas, from 1e-08 to 0.01")
    assert answer.text.endswith(", where 3.2 % of predictions differ")
    still = make_growth(doubling_steps=Estimate(), grown=0, disagreement=Estimate(), distance=Estimate(2e-8))
    (answer,) = answer_growth(Found([make_measures(name="Bit", growth=still)]))
    assert answer.text == "Bit: a moved weight does not grow: 1e-08 at the move, 2e-08 at the end"


@pytest.mark.parametrize("symbols", [UNICODE, ASCII])
def test_the_panel_fits_and_has_every_arm(symbols: Any) -> None:
    lines = list_growth(make_arms(), symbols, name_width=18, width=76)
    assert all(len(line) <= 76 for line in lines[1 : 1 + 14])
    text = "\n".join(lines)
    for part in (
        "net: relative distance of the weights",
        "1 ulp",
        "4 ulp",
        "near end",
        "3.25",
        "3/3",
        "hardly depends",
    ):
        assert part in text
    assert text.isascii() == (symbols is ASCII)
    assert all(len(line) <= 76 for line in lines if not line.startswith("net"))
    assert "near its end after" in "\n".join(list_growth(make_arms(), symbols, name_width=18, width=116))
    assert list_growth([make_measures(name="Init")], symbols, name_width=18, width=76) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": (0, 100, 50)},
        {"steps": (-1, 50, 100)},
        {"steps_per_epoch": 0},
        {"start": -1},
        {"mean": (1e-8, 1e-5)},
        {"low": (1e-8, -1e-5, 1.0)},
        {"high": (1e-8, float("inf"), 1.0)},
    ],
)
def test_what_no_measurement_gives_is_no_growth(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="growth"):
        make_growth(**changes)
