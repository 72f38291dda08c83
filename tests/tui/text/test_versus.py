"""Two arms against each other: what is seen, what would settle it, and what else differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.recipe import NO_SEEDS, DataRecipe, ModelRecipe, Recipe, TrainRecipe
from tests.helpers.measures import make_measures
from tui.text.format import ASCII
from tui.text.versus import Contender, compare_measures, describe_versus

RECIPE = Recipe(
    data=DataRecipe(preset="digits"), model=ModelRecipe(preset="resnet6"), train=TrainRecipe(epochs=12, batch_size=50),
    seeds=NO_SEEDS, lowlevel="deterministic", device="cpu",
)  # fmt: skip


def contender(name: str, mean: float, **others: Any) -> Contender:
    arm = make_measures(
        name=name, vary=["init"], n=12, accuracy_mean=mean, accuracy_mean_ci=[mean - 0.4, mean + 0.4],
        disagreement=3.0, disagreement_ci=[2.5, 3.6], accuracy_sd=0.6, accuracy_sd_ci=[0.4, 1.1],
    )  # fmt: skip
    return Contender("study", arm, **others)


def test_difference_is_drawn_beside_where_equal_arms_are() -> None:
    one, other = contender("a", 97.0), contender("b", 95.0)
    accuracy, sd = compare_measures(one, other, 21)[:2]
    assert accuracy.difference.startswith("+2.000 [+1.4")
    assert accuracy.picture.index("┊") == 10
    assert accuracy.picture.index("●") > 10, "the first is higher"
    assert (accuracy.verdict, accuracy.is_seen) == ("* apart", True)
    assert sd.difference.startswith("ratio 1.000")
    assert sd.picture[10] == "●", "a dot on the middle hides it"
    assert sd.verdict == "not told apart", "no number of replicas tells equal figures apart"
    assert "┊" not in compare_measures(one, other, 21, ASCII)[0].picture
    assert compare_measures(one, other, 9)[0].picture == "", "no picture where there is no room"


def test_difference_that_is_not_seen_says_how_many_replicas_would_tell() -> None:
    """Error of the difference √2 · 0.4/t(11) = 0.257, seen 0.4: 12 · ((1.960 + 0.842) · 0.257 / 0.4)² = 38.9."""
    accuracy = compare_measures(contender("a", 96.4), contender("b", 96.0), 21)[0]
    assert accuracy.verdict == "27 more of each"


def test_words_name_chance_settings_and_how_often_one_beats_the_other() -> None:
    one = contender("a", 97.0, recipe=RECIPE, accuracies=(96.0, 97.0, 98.0, 97.5))
    later = replace(RECIPE, train=TrainRecipe(epochs=50, batch_size=50))
    other = contender("b", 95.0, recipe=later, accuracies=(95.0, 96.5, 94.0, 95.5))
    said = " ".join(describe_versus(one, other, compare_measures(one, other, 21)))
    assert "P(first > second) = 0.94" in said
    assert "train.epochs 12 and 50" in said
    assert "What varies: init in the first and the second." in said
    assert "Of 3 measures at once, chance alone marks at least one with * in about 14 of 100" in said
    same = " ".join(describe_versus(one, replace(other, recipe=RECIPE), compare_measures(one, other, 21)))
    assert "Their settings are the same" in same
    unknown = " ".join(describe_versus(contender("a", 97.0), contender("b", 95.0), []))
    assert "ettings" not in unknown
    assert "P(first" not in unknown
