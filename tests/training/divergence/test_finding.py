"""How two runs of a study are opened to be walked: in states that are kept, where these tell nothing yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.recipe import ModelRecipe, Recipe
from engine.study.paths import StudyPaths
from engine.training.checkpoint import Checkpoint
from engine.training.data.datasets import Dataset
from engine.training.divergence.finding import Side, open_pair
from engine.training.divergence.lockstep import Pair
from tests.helpers.records import make_study

CPU = torch.device("cpu")


@pytest.fixture
def sides(base: Recipe) -> tuple[Side, Side]:
    recipe = replace(base, model=ModelRecipe(preset="hidden-fc"))
    one, other = (
        Side(StudyPaths(Path("/none")), make_study([]), run.id, run, ()) for run in (recipe, replace(recipe, repeat=1))
    )
    return one, other


@pytest.fixture
def states(sides: tuple[Side, Side], data: Dataset) -> tuple[Checkpoint, ...]:
    """Both at the end of the first epoch."""
    pair = Pair.prepare([side.recipe for side in sides], data, device=CPU)
    try:
        while (halt := pair.go()) is not None and halt.step is not None:
            pass
        return pair.capture(1)
    finally:
        pair.close()


def open_at(sides: tuple[Side, Side], data: Dataset, starts: Sequence[Checkpoint]) -> tuple[int, int, bool]:
    pair, used = open_pair(sides, data, CPU, tuple(starts))
    try:
        return len(used), pair.walkers[1].first, pair.parted
    finally:
        pair.close()


def test_kept_states_that_agree_spare_the_epochs_before(
    sides: tuple[Side, Side], states: tuple[Checkpoint, ...], data: Dataset
) -> None:
    assert open_at(sides, data, states) == (2, 2, False)


@pytest.mark.parametrize("part", ["model", "optimiser"])
def test_kept_states_that_differ_already_are_left_for_the_beginning(
    part: str, sides: tuple[Side, Side], states: tuple[Checkpoint, ...], data: Dataset
) -> None:
    """Else they would be said to differ by their initial weights. Files tell of weights alone, not of optimisers."""
    changed = {name: tensor + 1 for name, tensor in getattr(states[1], part).items()}
    other = replace(states[1], **{part: changed})
    assert open_at(sides, data, [states[0], other]) == (0, 1, False)
