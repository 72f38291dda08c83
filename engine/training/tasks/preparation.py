"""Prepares a task from recipes: loads the data, builds the networks, and stacks them where recipes name a pack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from engine.catalog import presets
from engine.recipe import DataRecipe, Recipe
from engine.training.data.datasets import Dataset, load_data
from engine.training.data.text import Corpus, load_corpus
from engine.training.recording.recorder import make_recorder
from engine.training.stacked.network import fill_up
from engine.training.stopping import ALL_STAY, Leaving
from engine.training.tasks import images, side_by_side, stacked_images, stacked_text, text
from engine.training.tasks.task import Task

SingleTask = images.ImageTask | text.TextTask
PackTask = stacked_images.StackedImageTask | stacked_text.StackedTextTask


def load(recipe: DataRecipe, *, root: Path, search_path: tuple[Path, ...]) -> Dataset | Corpus:
    """Load a recipe's data into the CPU's memory; see `datasets.load_data` and `text.load_corpus`."""
    if recipe.preset in presets.LANGUAGE:
        return load_corpus(recipe.preset, root)
    return load_data(recipe, root=root, search_path=search_path)


def prepare(
    recipes: Sequence[Recipe],
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    graphs: bool = True,
    leaving: Leaving = ALL_STAY,
) -> Task[Any]:
    """Build what trains some recipes at once: a single task, several side by side, or a pack where they name one.

    Args:
        recipes: Of one pack, or equal but for seeds and bits.
        data: Their data set, on the device.
        device: Where they are trained.
        search_path: Where a user's model is looked for.
        graphs: Whether steps on CUDA are recorded and replayed.
        leaving: Which runs side by side leave while the others go on, and who is told of those that end.

    Raises:
        ModelError: If a model cannot be built.
        PerturbationError: If a bit change would have no effect.
        ValueError: If the recipes may not be trained together.
    """
    if len(recipes) == 1 and recipes[0].pack is None:
        return prepare_single(recipes[0], data, device=device, search_path=search_path, graphs=graphs)
    if recipes[0].pack is None:
        return side_by_side.prepare(
            recipes, data, device=device, search_path=search_path, graphs=graphs, leaving=leaving
        )
    return prepare_pack(recipes, data, device=device, search_path=search_path, graphs=graphs)


def prepare_single(
    recipe: Recipe,
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    graphs: bool = True,
) -> SingleTask:
    """Build a recipe's network, move its bit, and make its optimiser; a pack that it names is left aside."""
    recorder = make_recorder(device, graphs=graphs)
    if isinstance(data, Corpus):
        return text.prepare(recipe, data, device=device, recorder=recorder)
    return images.prepare(recipe, data, device=device, search_path=search_path, recorder=recorder)


def prepare_pack(
    recipes: Sequence[Recipe],
    data: Dataset | Corpus,
    *,
    device: torch.device,
    search_path: tuple[Path, ...] = (),
    graphs: bool = True,
) -> PackTask:
    """Build every replica as it is built by itself, and stack them; the last one fills up a pack that is too large.

    Args:
        recipes: Equal but for the seeds of their replicas.
        data: Their data set, on the device.
        device: Where they are trained.
        search_path: Where a user's model is looked for.
        graphs: Whether steps on CUDA are recorded and replayed.

    Raises:
        ValueError: If the recipes may not be trained in one pack.
    """
    first = recipes[0]
    if first.pack is None or len(recipes) > first.pack.size or len({recipe.companions for recipe in recipes}) > 1:
        raise ValueError("recipes of one pack are equal but for the seeds of their replicas, and fit into it")
    filled = fill_up(recipes, first.pack.size)
    if isinstance(data, Corpus):
        return stacked_text.prepare(filled, data, device=device)
    recorder = make_recorder(device, graphs=graphs)
    return stacked_images.prepare(filled, data, device=device, search_path=search_path, recorder=recorder)
