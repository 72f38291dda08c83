"""A language model's steps: masks from keys, and runs side by side that cut the text each in its own way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.catalog.presets import QRNN_ARGS
from engine.recipe import BitChange, Recipe
from engine.training.loop import Outcome, train_runs
from engine.training.models.qrnn import Qrnn, reorder_streams
from engine.training.random.seeding import hash_units, segment_keys
from engine.training.weights import array_bytes, weights_bytes
from tests.helpers.pretended_gpu.text_side_by_side import make_corpus, make_recipe

CPU = torch.device("cpu")
CORPUS = make_corpus()
KEYED = replace(make_recipe(), device="cpu")
DRAWN = replace(KEYED, model=replace(KEYED.model, masks=None))


def train(recipe: Recipe) -> Outcome:
    return train_runs([recipe], CORPUS, device=CPU)[0]


def test_masks_from_keys_are_those_of_the_streams_in_any_order() -> None:
    """Each is `hash_units` of its own key, rows and columns, whose shares and scales are those of drawn masks."""
    model = Qrnn(500, QRNN_ARGS | {"embedding": 12, "hidden": 16})
    keys = torch.from_numpy(segment_keys(1, 2, 3, model.count_masks()))[1]
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    masks = model.hash_masks(torch.arange(40), keys)
    drawn = model.draw_masks(40, torch.Generator().manual_seed(3))
    flat = [(m.words, m.input, *m.hidden, m.output, *m.weights) for m in (masks, drawn)]
    rates = [0.1, 0.4, 0.3, 0.3, 0.4, 0.1, 0.1, 0.1]
    for key, rate, one, other in zip(keys, rates, *flat, strict=True):
        assert one.shape == other.shape
        assert set(one.unique().tolist()) == set(other.unique().tolist())
        assert float((one == 0).float().mean()) == pytest.approx(rate, abs=0.06)
        kept = hash_units(key, torch.arange(len(one)), one.shape[1]) >= round(rate * 2**24)
        assert torch.equal(one > 0, kept)
    again = model.hash_masks(order, keys)
    assert all(map(same, again, reorder_streams(masks, order)))


def same(one: Tensor | list[Tensor], other: Tensor | list[Tensor]) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    return all(map(torch.equal, one, other))


def test_keys_of_masks_are_a_function_of_seed_epoch_and_step() -> None:
    keys = segment_keys(1, 2, 5, 8)
    assert np.array_equal(segment_keys(1, 2, 9, 8)[:5], keys), "whatever comes after a step"
    drawn = np.concatenate([keys, segment_keys(2, 2, 5, 8), segment_keys(1, 3, 5, 8)])
    assert len(np.unique(drawn)) == drawn.size, "no two of them are the same"


def test_masks_from_keys_are_a_recipe_of_their_own() -> None:
    assert "masks" not in DRAWN.canonical_json()
    assert DRAWN.id != KEYED.id
    one, again, drawn = (weights_bytes(train(recipe).state) for recipe in (KEYED, KEYED, DRAWN))
    assert one == again != drawn


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"optimizer": "nt-asgd", "select": "best-validation", "epochs": 8, "lr": 40.0}],
    ids=str,
)
def test_texts_side_by_side_have_the_bits_of_texts_alone(settings: dict[str, Any]) -> None:
    """Each cuts the text into segments of its own, and so takes steps of its own number."""
    settled = replace(KEYED, train=replace(KEYED.train, **settings))
    seeds = [replace(DRAWN.seeds, init=k, stochastic=k) for k in (1, 2)]
    runs = [replace(settled, seeds=seeds[0]), replace(settled, seeds=seeds[1], bit=BitChange(seed=1))]
    assert runs[0].neighbours == runs[1].neighbours is not None
    together = train_runs(runs, CORPUS, device=CPU)
    for one, alone in zip(together, map(train, runs), strict=True):
        assert weights_bytes(one.state) == weights_bytes(alone.state)
        assert array_bytes(one.predictions) == array_bytes(alone.predictions)
