"""Checks of image classifiers on a pretended GPU: alone, in packs recorded and one by one, resumed, users' own."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from engine.recipe import KEYED_DRAWS, ModelRecipe, Recipe
from engine.training.checkpoint import CheckpointPolicy, load_checkpoint
from engine.training.loop import train_runs
from engine.training.recording import repeater
from engine.training.stopping import Stopped
from tests.helpers.pretended_gpu.cases import Checks, digest, hear_refusals, make_images, make_recipe, make_replicas
from tests.helpers.pretended_gpu.cuda import pretend_cuda
from tests.helpers.pretended_gpu.device import CPU, CUDA
from tests.helpers.pretended_gpu.graphs import USUAL
from tests.helpers.pretended_gpu.races import CURRENT

SMALL = ("linear", "hidden-fc", "hidden-conv", "resnet6")
LARGE = ("resnet10", "resnet14", "resnet18", "shufflenetv2-50", "vgg11", "mnist-cnn")
SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam"},
    "clip": {"clip_grad_norm": 1.0},
    "bf16": {"precision": "bf16"},
}


def check_alone(preset: str) -> None:
    """A run alone has the predictions that it has on the CPU: the same kernels compute them here."""
    recipe, data = make_recipe(preset), make_images()
    on_cpu = train_runs([replace(recipe, device="cpu")], data, device=CPU)[0]
    with pretend_cuda():
        on_gpu = train_runs([recipe], data, device=CUDA)[0]
    assert np.array_equal(on_cpu.predictions, on_gpu.predictions)


def check_pack(preset: str, *, shared: bool, **train: Any) -> None:
    """Recorded steps are the steps that are taken one by one, the smaller last minibatch included."""
    check_recorded(make_replicas(make_recipe(preset, **train), shared=shared))


def check_large_pack(preset: str) -> None:
    """As `check_pack`, in three steps: one to warm up, one that is recorded, and a smaller minibatch."""
    with patch.object(repeater, "WARM_UP_STEPS", 1):
        check_recorded(make_replicas(make_recipe(preset, epochs=1), shared=True), examples=11)


def check_recorded(recipes: Sequence[Recipe], *, examples: int = 19, refused: bool = False) -> None:
    """Recorded steps have the bits of steps taken one by one, and are recorded wherever the network allows it.

    Args:
        recipes: Of one pack.
        examples: Of the data.
        refused: Whether the network does what cannot be recorded.
    """
    data = make_images(examples)
    with pretend_cuda(), hear_refusals() as heard:
        by_hand, recorded = (digest(train_runs(recipes, data, device=CUDA, graphs=graphs)) for graphs in (False, True))
        assert CURRENT[0] is USUAL, "the usual stream is current again"
    assert bool(heard) == refused, heard or "it was recorded"
    assert by_hand == recorded, "recorded steps have other bits"


def check_resumed(optimizer: str, *, channels_last: bool) -> None:
    """A pack that goes on from its checkpoints ends with the bits of one that was never stopped."""
    recipe = make_recipe("resnet6", optimizer=optimizer)
    recipes, data, seen = make_replicas(recipe, shared=True, channels_last=channels_last), make_images(), [0]
    with pretend_cuda(), tempfile.TemporaryDirectory() as folder:
        policies = [
            CheckpointPolicy(path=Path(folder) / str(slot), every_s=0.0, recipe_id=one.id)
            for slot, one in enumerate(recipes)
        ]
        whole = train_runs(recipes, data, device=CUDA)
        with contextlib.suppress(Stopped):
            train_runs(
                recipes,
                data,
                device=CUDA,
                checkpoints=policies,
                should_stop=lambda: seen[0] >= 1,
                on_epoch=lambda slot, record: seen.__setitem__(0, record.epoch),
            )
        found = [load_checkpoint(policy.path, recipe_id=policy.recipe_id) for policy in policies]
        starts = [start for start in found if start is not None]
        assert [start.epoch for start in starts] == [1, 1]
        assert digest(train_runs(recipes, data, device=CUDA, starts=starts)) == digest(whole)


class Dropping(nn.Module):
    """A user's network with both kinds of dropout, which may make a constant in its forward pass."""

    def __init__(self, *, constant: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.channels = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout2d(0.2)
        self.units, self.fc, self.constant = nn.Dropout(0.3), nn.Linear(8, 10), constant

    def forward(self, x: Tensor) -> Tensor:
        if self.constant:
            x = x * torch.tensor([0.9, 1.0, 1.1], device=x.device).view(1, 3, 1, 1)
        return self.fc(self.units(self.channels(self.norm(self.conv(x)).relu()).mean((2, 3))))


def build(input_shape: tuple[int, ...], classes: int, constant: bool = False) -> nn.Module:
    """What a protocol's model.target names."""
    return Dropping(constant=constant)


DROPPING = ModelRecipe(target=f"{__name__}:build", draws=KEYED_DRAWS)


def check_own_network(*, shared: bool, constant: bool) -> None:
    """A user's network trains alone and in packs; one that copies a constant to the GPU is not recorded."""
    recipe = make_recipe("linear")
    model = ModelRecipe(target=f"{__name__}:build", args=(("constant", constant),))
    recipe = replace(recipe, model=model, seeds=replace(recipe.seeds, stochastic=3))
    with pretend_cuda():
        train_runs([recipe], make_images(), device=CUDA)[0]
    check_recorded(make_replicas(recipe, shared=shared), refused=constant)


ALONE: Checks = {preset: partial(check_alone, preset) for preset in SMALL}
"""The large ones are trained alone where they are trained side by side, too."""

PACKS: Checks = {
    f"{preset} {'shared' if shared else 'own'} batches": partial(check_pack, preset, shared=shared)
    for preset in SMALL
    for shared in (True, False)
} | {f"{preset} shared batches": partial(check_large_pack, preset) for preset in LARGE}

VARIANTS: Checks = {
    f"{preset} {'shared' if shared else 'own'} batches {name}": partial(check_pack, preset, shared=shared, **train)
    for name, train in SETTINGS.items()
    for preset, shared in (("linear", False), ("resnet6", True))
} | {
    f"resumed {optimizer} channels last": partial(check_resumed, optimizer, channels_last=True)
    for optimizer in ("sgd", "adam")
}

OWN: Checks = {
    f"{'shared' if shared else 'own'} batches{', cannot be recorded' if constant else ''}": partial(
        check_own_network, shared=shared, constant=constant
    )
    for shared, constant in ((True, False), (False, False), (True, True))
}
