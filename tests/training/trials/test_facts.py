"""The probe: facts about a recipe, or the error it would end in with the part that causes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.recipe import BitChange, DataRecipe, ModelRecipe, PackRecipe, Recipe
from engine.training.tasks import stacked_images
from engine.training.trials.facts import answer_recipe


def answer(recipe: Recipe, tmp_path: Path, *, timed: bool = False) -> dict:
    return answer_recipe(recipe, root=tmp_path, search_path=(tmp_path,), timed=timed)


def test_facts_of_a_preset(base: Recipe, tmp_path: Path) -> None:
    facts = answer(base, tmp_path, timed=True)
    assert facts["train_examples"] == 90
    assert facts["test_examples"] == 797
    assert (facts["input_shape"], facts["classes"], facts["stochastic"]) == ([1, 8, 8], 10, False)
    assert 0 < facts["seconds_per_epoch"] < 10
    assert facts["lowlevel_empty"] is None


def test_each_fault_names_its_part(base: Recipe, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(64, 10)\n"
        "    def forward(self, x):\n"
        "        if self.training: raise RuntimeError('only evaluates')\n"
        "        return self.fc(x.flatten(1))\n"
        "def build(input_shape, classes): return Net()\n"
    )
    cases = {
        "data": replace(base, data=DataRecipe(target="nothing_there:load")),
        "model": replace(base, model=ModelRecipe(target="failing:build")),
        "bit": replace(base, bit=BitChange(seed=1, parameter="fc9.weight")),
        "device": replace(base, device="cuda", lowlevel="deterministic"),
    }
    for part, recipe in cases.items():
        if part == "device" and torch.cuda.is_available():
            continue
        found = answer(recipe, tmp_path)
        assert found["part"] == part
        assert found["error"]
        assert found["remedy"]
    assert "only evaluates" in answer(cases["model"], tmp_path)["error"]


@pytest.mark.parametrize("batch_size", [1, 45, 90, 1000])
def test_any_batch_size_can_be_timed(base: Recipe, tmp_path: Path, batch_size: int) -> None:
    recipe = replace(base, train=replace(base.train, batch_size=batch_size), model=ModelRecipe(preset="linear"))
    assert answer(recipe, tmp_path, timed=True)["seconds_per_epoch"] > 0


def test_packs_are_tested_and_timed(base: Recipe, tmp_path: Path) -> None:
    packed = replace(base, model=ModelRecipe(preset="linear"), pack=PackRecipe(size=3, shared_batch=True))
    facts = answer(packed, tmp_path, timed=True)
    assert facts["size_invariant"] in (True, False)
    assert 0 < facts["seconds_per_epoch"] < 10
    assert answer(base, tmp_path)["size_invariant"] is None


def test_packs_that_change_bits_by_slot_are_found_out(
    base: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As sums over a strided axis do, whose last columns are rounded otherwise."""
    original = stacked_images.replica_losses

    def round_by_slot(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        losses = original(logits, labels)
        return losses * (1 + 1e-6 * (torch.arange(len(losses)) == 2))

    monkeypatch.setattr(stacked_images, "replica_losses", round_by_slot)
    packed = replace(base, model=ModelRecipe(preset="linear"), pack=PackRecipe(size=3, shared_batch=True))
    assert answer(packed, tmp_path)["slot_invariant"] is False
