"""Samples of the training examples: what is drawn, in which order it is trained, and what two samples share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.recipe import DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.training.data.datasets import load_data
from engine.training.data.sampling import count_trained, draw_names, order_names
from engine.training.random.seeding import draw_bootstrap, draw_split, epoch_order


def sample(kind: str, seed: int = 1, left_out: int | None = None) -> Recipe:
    return Recipe(
        data=DataRecipe(preset="digits", sample=kind, validation_size=left_out),
        model=ModelRecipe(preset="linear"),
        train=TrainRecipe(epochs=1, batch_size=10),
        seeds=Seeds(init=1, shuffle=1, sample=seed),
        lowlevel="deterministic",
        device="cpu",
    )


@given(st.integers(0, 2**31 - 1), st.integers(1, 60))
def test_bootstrap_names_every_copy_of_an_example_apart(seed: int, examples: int) -> None:
    recipe = sample("bootstrap", seed)
    names = draw_names(recipe, examples)
    assert len(names) == count_trained(recipe, examples) == examples
    assert len(set(names.tolist())) == examples
    counts = np.bincount(draw_bootstrap(seed, examples), minlength=examples)
    assert np.bincount(names % examples, minlength=examples).tolist() == counts.tolist()
    for example in range(examples):
        copies = names[names % examples == example] // examples
        assert sorted(copies.tolist()) == list(range(counts[example]))


def test_bootstrap_draws_each_example_as_often_as_chance_has_it() -> None:
    counts = np.bincount(draw_bootstrap(3, 50_000), minlength=50_000)
    shares = np.bincount(counts) / 50_000
    # Poisson with mean 1, each share with an error of about 0.002.
    assert shares[:4] == pytest.approx([np.exp(-1), np.exp(-1), np.exp(-1) / 2, np.exp(-1) / 6], abs=0.01)
    over_seeds = np.bincount(np.concatenate([draw_bootstrap(seed, 10) for seed in range(5000)]))
    assert over_seeds == pytest.approx([5000] * 10, rel=0.06), "no example is preferred"


@given(st.integers(0, 2**31 - 1), st.integers(1, 60), st.data())
def test_split_trains_on_what_it_does_not_leave_out(seed: int, examples: int, draw: st.DataObject) -> None:
    left_out = draw.draw(st.integers(0, examples - 1))
    recipe = sample("split", seed, left_out)
    names = draw_names(recipe, examples)
    assert np.bincount(names, minlength=examples).max() == 1
    assert len(names) == count_trained(recipe, examples) == examples - left_out
    others = set(range(examples)) - set(names.tolist())
    assert len(others) == left_out, "and the rest is disjoint from it"


def test_split_leaves_out_every_example_alike() -> None:
    kept = np.bincount(np.concatenate([draw_split(seed, 10, 4) for seed in range(5000)]), minlength=10)
    assert kept == pytest.approx([3000] * 10, rel=0.06)


@given(st.sampled_from(["bootstrap", "split"]), st.integers(0, 2**31 - 1), st.integers(1, 9))
def test_same_seed_gives_the_same_sample_and_order(kind: str, seed: int, epoch: int) -> None:
    recipe, other = (sample(kind, number, 30 if kind == "split" else None) for number in (seed, seed + 1))
    assert np.array_equal(draw_names(recipe, 90), draw_names(recipe, 90))
    assert not np.array_equal(draw_names(recipe, 90), draw_names(other, 90))
    order = order_names(recipe, 90, epoch)
    assert np.array_equal(order, order_names(recipe, 90, epoch))
    assert sorted(order.tolist()) == sorted(draw_names(recipe, 90).tolist())
    assert not np.array_equal(order, order_names(recipe, 90, epoch + 1))


def test_split_is_trained_in_the_order_of_the_whole() -> None:
    recipe = sample("split", 5, 30)
    kept = set(draw_names(recipe, 90).tolist())
    expected = [example for example in epoch_order(1, 4, 90).tolist() if example in kept]
    assert order_names(recipe, 90, 4).tolist() == expected


@pytest.mark.parametrize(("kind", "left_out"), [("bootstrap", None), ("split", 30)])
def test_what_two_samples_share_keeps_its_order(kind: str, left_out: int | None) -> None:
    one, two = (order_names(sample(kind, seed, left_out), 90, 2).tolist() for seed in (1, 2))
    shared = set(one) & set(two)
    assert 30 < len(shared) < 60
    assert [name for name in one if name in shared] == [name for name in two if name in shared]


def test_copies_of_an_example_are_trained_apart() -> None:
    """Were they neighbours, a minibatch would hold fewer examples than it seems to."""
    order = order_names(sample("bootstrap"), 5000, 1) % 5000
    # Of two places that are drawn at random, both hold the same example with a probability of 1 / 5,000.
    assert np.count_nonzero(order[1:] == order[:-1]) <= 6
    places = {example: np.flatnonzero(order == example) for example in np.unique(order)[:2000]}
    distances = [there[1] - there[0] for there in places.values() if len(there) == 2]
    assert np.mean(distances) == pytest.approx(5000 / 3, rel=0.1)


def test_split_that_leaves_nothing_of_the_data_is_refused() -> None:
    recipe = DataRecipe(preset="digits", train_size=50, sample="split", validation_size=50)
    with pytest.raises(DataError, match=r"validation_size = 50 leaves none of the 50"):
        load_data(recipe, root=Path("/nonexistent"), search_path=())
    fewer = load_data(replace(recipe, validation_size=49), root=Path("/nonexistent"), search_path=())
    assert len(fewer.train_labels) == 50
