"""The probe: facts about a recipe, or the error it would end in with the part that causes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.recipe import BitChange, DataRecipe, ModelRecipe, PackRecipe, Recipe
from engine.training.tasks import stacked_images
from engine.training.trials import facts
from engine.tuning.messages import Answer, Facts, FactsQuestion, Refusal, Surroundings


def answer(recipe: Recipe, tmp_path: Path, *, timed: bool = False) -> Answer:
    surroundings = Surroundings(root=str(tmp_path), search_path=(str(tmp_path),), graphs=True)
    return facts.answer(FactsQuestion(recipe=recipe, timed=timed), surroundings)


def find_facts(recipe: Recipe, tmp_path: Path, *, timed: bool = False) -> Facts:
    found = answer(recipe, tmp_path, timed=timed)
    assert isinstance(found, Facts)
    return found


def time(recipe: Recipe, tmp_path: Path) -> float:
    seconds = find_facts(recipe, tmp_path, timed=True).seconds_per_epoch
    assert seconds is not None
    return seconds


def test_facts_of_a_preset(base: Recipe, tmp_path: Path) -> None:
    found = find_facts(base, tmp_path, timed=True)
    assert found.train_examples == 90
    assert found.test_examples == 797
    assert (found.input_shape, found.classes, found.stochastic) == ((1, 8, 8), 10, False)
    assert 0 < (found.seconds_per_epoch or 0) < 10
    assert found.kernel_digests is None


@pytest.mark.parametrize(
    ("end", "probabilities"), [("nn.Softmax(1)", True), ("nn.ReLU()", False), ("nn.LogSoftmax(1)", False)]
)
def test_network_that_ends_in_a_softmax_is_told(base: Recipe, tmp_path: Path, end: str, *, probabilities: bool) -> None:
    name = "ends" + end[3:6].lower()
    (tmp_path / f"{name}.py").write_text(
        "from torch import nn\n"
        f"def build(input_shape, classes): return nn.Sequential(nn.Flatten(), nn.Linear(64, classes), {end})\n"
    )
    recipe = replace(base, model=ModelRecipe(target=f"{name}:build"))
    assert find_facts(recipe, tmp_path).probabilities is probabilities


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
        assert isinstance(found, Refusal)
        assert found.part == part
        assert found.error
        assert found.remedy
        assert ("only evaluates" in found.error) == (part == "model")


@pytest.mark.parametrize("batch_size", [1, 45, 90, 1000])
def test_any_batch_size_can_be_timed(base: Recipe, tmp_path: Path, batch_size: int) -> None:
    recipe = replace(base, train=replace(base.train, batch_size=batch_size), model=ModelRecipe(preset="linear"))
    assert time(recipe, tmp_path) > 0


def test_packs_are_tested_and_timed(base: Recipe, tmp_path: Path) -> None:
    packed = replace(base, model=ModelRecipe(preset="linear"), pack=PackRecipe(size=3, shared_batch=True))
    found = find_facts(packed, tmp_path, timed=True)
    assert found.size_invariant is not None
    assert 0 < (found.seconds_per_epoch or 0) < 10
    assert find_facts(base, tmp_path).size_invariant is None


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
    assert find_facts(packed, tmp_path).slot_invariant is False


def test_target_that_nobody_trusts_is_refused_before_it_is_called(base: Recipe, tmp_path: Path) -> None:
    for recipe in (
        replace(base, model=ModelRecipe(target="torch.hub:load")),
        replace(base, data=DataRecipe(target="torch.hub:load")),
    ):
        refused = answer(recipe, tmp_path)
        assert isinstance(refused, Refusal)
        assert "torch.hub:load: is not beside the protocol" in refused.error
