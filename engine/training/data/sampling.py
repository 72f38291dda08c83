"""Draws the training examples that a run sees, and orders them, where the source `sample` is not empty.

A bootstrap draws some examples several times. Each copy has a name of its own: the example's number plus the number of
all examples for every copy before it. Order, crops and masks are functions of the names, so that what two samples share
is trained in the same relative order with the same draws, and two copies of an example are two examples.
"""

from __future__ import annotations

import numpy as np

from engine.recipe import Recipe
from engine.training.random.seeding import draw_bootstrap, draw_split, epoch_order


def count_trained(recipe: Recipe, examples: int) -> int:
    """Return how many of the training examples an epoch passes through, copies counted."""
    return examples - (recipe.data.validation_size or 0)


def draw_names(recipe: Recipe, examples: int) -> np.ndarray:
    """Return the names of the training examples that a run sees, int64 (n,); see the module.

    Args:
        recipe: The run's.
        examples: The number of all training examples.
    """
    seed = recipe.seeds.sample
    if recipe.data.sample is None or seed is None:
        return np.arange(examples)
    if recipe.data.sample == "split":
        return draw_split(seed, examples, recipe.data.validation_size or 0)
    drawn = draw_bootstrap(seed, examples)
    copies = np.arange(examples) - np.searchsorted(drawn, drawn)
    return drawn + copies * examples


def order_names(recipe: Recipe, examples: int, epoch: int) -> np.ndarray:
    """Return the same names in the order in which `shuffle` has them trained in an epoch."""
    seed = recipe.seeds.shuffle
    if recipe.data.sample is None:
        return epoch_order(seed, epoch, examples)
    names = draw_names(recipe, examples)
    copies, numbers = np.divmod(names, examples)
    # The place of every example in each copy's own order: what a sample lacks is passed over.
    places = np.array([np.argsort(epoch_order(seed, epoch, examples, copy)) for copy in range(copies.max() + 1)])
    return names[np.argsort(places[copies, numbers], kind="stable")]
