"""Holds what recipes are tried out on before a study is written: data, a device, and how packs take their steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.recipe import Recipe
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.tasks.preparation import PackTask, SingleTask, prepare_pack, prepare_single


@dataclass(frozen=True)
class Workbench:
    """Prepares tasks to try out; says everything but their recipes."""

    data: Dataset | Corpus
    """On the device."""
    device: torch.device
    search_path: tuple[Path, ...] = ()
    """Where a user's model is looked for."""
    graphs: bool = True
    """Whether steps on CUDA are recorded and replayed."""
    seconds_load: float = 0.0
    """How long it took to load the data."""

    def prepare_single(self, recipe: Recipe) -> SingleTask:
        """Build what trains a recipe by itself; a pack that it names is left aside."""
        return prepare_single(recipe, self.data, device=self.device, search_path=self.search_path, graphs=self.graphs)

    def prepare_pack(self, recipes: Sequence[Recipe], *, graphs: bool) -> PackTask:
        """Build what trains the recipes of a pack; `graphs` tells whether its steps are recorded."""
        return prepare_pack(recipes, self.data, device=self.device, search_path=self.search_path, graphs=graphs)
