"""Weights as bytes: of networks whose parameters have several names, too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn

from engine.recipe import TrainRecipe
from engine.training.checkpoint import CheckpointPolicy, capture, load_checkpoint, restore
from engine.training.optimiser import make_optimiser
from engine.training.weights import weights_bytes


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


@pytest.fixture
def tied() -> Tied:
    return Tied()


def test_tied_weights_are_written_under_each_of_their_names(tied: Tied) -> None:
    state = tied.state_dict()
    content = weights_bytes(state)
    read = load(content)
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], value) for name, value in state.items())
    assert content == weights_bytes({name: value.clone() for name, value in state.items()})


def test_network_with_tied_weights_goes_on_from_its_checkpoint(tied: Tied, tmp_path: Path) -> None:
    optimiser = make_optimiser(tied.named_parameters(), TrainRecipe(epochs=2, batch_size=2))
    tied(torch.ones(2, 4)).sum().backward()
    optimiser.step()
    policy = CheckpointPolicy(path=tmp_path / "c.safetensors", every_s=0.0, recipe_id="one")
    policy.save(capture(tied, optimiser, {}, epoch=1, seconds=0.0))
    checkpoint = load_checkpoint(policy.path, recipe_id="one")
    assert checkpoint is not None
    expected = tied.second.weight.detach().clone()
    nn.init.zeros_(tied.first.weight)
    restore(checkpoint, tied, optimiser)
    assert tied.first.weight is tied.second.weight
    assert torch.equal(tied.second.weight, expected)
