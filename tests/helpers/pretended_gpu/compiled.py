"""Checks of compiled single runs on a pretended GPU; what the compiler makes of a network is not tried there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

from torch import Tensor, nn

from engine.recipe import Recipe
from engine.training.models import build
from engine.training.models.build import Network
from engine.training.recording import repeater
from tests.helpers.pretended_gpu.cases import Checks, make_images, make_recipe
from tests.helpers.pretended_gpu.faults import describe_failure
from tests.helpers.pretended_gpu.side_by_side import SHORT, make_runs, train


def count_calls(recipes: list[Recipe]) -> tuple[list[str], list[bool]]:
    """Train runs side by side whose networks stand for compiled ones: digests, and the mode of each call."""
    modes: list[bool] = []

    def compile_nothing(model: nn.Module) -> Callable[[Tensor], Tensor]:
        def call(inputs: Tensor) -> Tensor:
            modes.append(model.training)
            return model(inputs)

        return call

    with patch.object(build, "compile_network", compile_nothing), patch.object(repeater, "WARM_UP_STEPS", 1):
        return train(recipes, make_images(SHORT)), modes


def check_compiled() -> None:
    """Steps and passes of the test set go through what is compiled, are recorded, and have the bits of its kernels."""
    runs = make_runs(make_recipe("hidden-conv", epochs=3))
    found, modes = count_calls([replace(run, compiled=True) for run in runs])
    assert modes.count(True) == 2 * 2 * len(runs), "each size of a step is taken once, and recorded once"
    assert modes.count(False) == 2 * len(runs), "so is what is judged"
    assert found == count_calls(runs)[0], "other bits"


def check_fault() -> None:
    """Were the network itself called in the recorded steps, the check would say so."""
    with patch.object(Network, "classify", property(lambda network: network.model)):
        failure = describe_failure(check_compiled)
    assert "each size of a step" in failure, failure


COMPILED: Checks = {"compiled": check_compiled, "a network that is not compiled": check_fault}
