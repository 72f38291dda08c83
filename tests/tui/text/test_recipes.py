"""Recipes are compared in the protocol's words, by what is set and not by seeds."""

from __future__ import annotations

from dataclasses import replace

from engine.recipe import DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from tui.text.recipes import describe_differences, group_by_settings, list_settings

RECIPE = Recipe(
    data=DataRecipe(preset="digits"),
    model=ModelRecipe(preset="linear"),
    train=TrainRecipe(epochs=12, batch_size=100, lr=0.1),
    seeds=Seeds(init=1, shuffle=1),
    lowlevel="deterministic",
    device="cpu",
)
LONGER = replace(RECIPE, train=replace(RECIPE.train, epochs=50, lr=0.25))


def test_settings_have_the_names_of_the_protocol() -> None:
    found = list_settings(RECIPE)
    assert (found["data.preset"], found["model.preset"], found["train.epochs"], found["device"]) == (
        "digits", "linear", 12, "cpu",
    )  # fmt: skip
    assert not any(name.startswith("seeds") for name in found)
    assert list_settings(RECIPE, ("train",)).keys() == {f"train.{name}" for name in vars(RECIPE.train)}


def test_differences_are_named_with_both_values() -> None:
    assert describe_differences(RECIPE, LONGER) == ["train.epochs 12 and 50", "train.lr 0.1 and 0.25"]
    assert describe_differences(RECIPE, LONGER, parts=("data", "model")) == []
    own = replace(RECIPE, model=ModelRecipe(target="mine:build"))
    assert "model.preset linear to –" in describe_differences(RECIPE, own, between="to")
    assert describe_differences(None, LONGER) == describe_differences(RECIPE, None) == []


def test_seeds_and_bits_make_no_difference_and_no_group() -> None:
    other = replace(RECIPE, seeds=Seeds(init=7, shuffle=9), repeat=3)
    assert describe_differences(RECIPE, other) == []
    recipes = {"a": LONGER, "b": RECIPE, "c": other, "d": RECIPE}
    assert group_by_settings("abcd", recipes) == [["b", "c", "d"], ["a"]]
    assert group_by_settings("ab", {}) == [["a", "b"]], "nothing says that they differ"
