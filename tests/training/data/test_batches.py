"""Minibatches of several replicas at once: those of each by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.recipe import DataRecipe, Recipe
from engine.training.data.batches import epoch_batches, stack_batches
from engine.training.data.datasets import Dataset


@pytest.mark.parametrize("augment", ["none", "crop-flip"])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
@pytest.mark.parametrize("sample", [None, "bootstrap"])
def test_replicas_see_the_minibatches_that_they_see_alone(
    base: Recipe, augment: str, kind: torch.dtype, sample: str | None
) -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (50, 3, 8, 8), generator=generator).to(kind)
    labels = torch.randint(0, 5, (50,), generator=generator)
    scales = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)) if kind == torch.uint8 else (None, None)
    data = Dataset(images, labels, images, labels, 5, *scales)
    recipes = [
        replace(
            base,
            data=DataRecipe(preset="cifar10", augment=augment, sample=sample),
            train=replace(base.train, batch_size=16),
            seeds=replace(base.seeds, shuffle=seed, lowlevel=seed, augment=seed, sample=seed if sample else None),
        )
        for seed in (1, 2, 3)
    ]
    stacked = list(stack_batches(recipes, data, epoch=2))
    assert [batch.inputs.shape for batch in stacked] == [(3, 16, 3, 8, 8)] * 3 + [(3, 2, 3, 8, 8)]
    for slot, recipe in enumerate(recipes):
        for whole, own in zip(stacked, epoch_batches(recipe, data, epoch=2), strict=True):
            assert torch.equal(whole.inputs[slot], own.inputs)
            assert torch.equal(whole.labels[slot], own.labels)
            assert torch.equal(whole.examples[slot], own.examples)
