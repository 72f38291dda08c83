"""Faults that only a GPU shows, planted to see that the checks on a pretended one find them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from engine.training.data.datasets import Dataset
from engine.training.recording import repeater
from engine.training.recording.repeater import Recording
from engine.training.stacked import network
from engine.training.stacked.network import Pack
from engine.training.tasks import stacked_images
from engine.training.tasks.stacked_images import StackedImageTask
from tests.helpers.pretended_gpu.cases import Checks
from tests.helpers.pretended_gpu.images import check_alone, check_own_network, check_pack, check_resumed

PASSED: set[Callable[[], None]] = set()
"""Checks that have passed in this process without a fault; several faults share one."""


def expect_fault(plant: Any, check: Callable[[], None], message: str) -> None:
    """A check that passes fails once a fault is planted, and says why."""
    if check not in PASSED:
        check()
        PASSED.add(check)
    with plant:
        failure = describe_failure(check)
    assert message in failure, failure


def describe_failure(check: Callable[[], None]) -> str:
    """What a check that fails says."""
    try:
        check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "the fault was not found"


move = Dataset.to


def leave_labels(data: Dataset, device: torch.device) -> Dataset:
    """Move a data set, all but its labels."""
    return replace(move(data, device), train_labels=data.train_labels)


draw = StackedImageTask.draw_keys


def leave_keys(task: StackedImageTask, epoch: int) -> Tensor:
    """Draw the keys of masks, and leave them on the CPU."""
    return draw(task, epoch).cpu()


compute = stacked_images.replica_losses


def look_at_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the losses, and look at one of them."""
    losses = compute(logits, labels)
    losses[0].item()
    return losses


def set_number(pack: Pack, rate: float) -> None:
    """Set the learning rate as a number, which a recorded step keeps as it was."""
    for group in pack.optimiser.param_groups:
        group["lr"] = rate * group["scale"]


def stack_contiguously(parameter: Tensor, values: Sequence[Tensor]) -> Tensor:
    """Stack replicas' tensors in another layout than their parameter's."""
    return torch.stack(list(values))


def repeat_blindly(recording: Recording, tensors: Sequence[Tensor]) -> Tensor | None:
    """Replay recorded work on the tensors that it was recorded with."""
    recording.replay()
    return None if recording.result is None else recording.result.clone()


alone = partial(check_alone, "linear")
packs = partial(check_pack, "linear", shared=True)
own = partial(check_own_network, shared=True, constant=False)

FAULTS: Checks = {
    "labels left on the CPU": partial(expect_fault, patch.object(Dataset, "to", leave_labels), alone, "same device"),
    "keys of masks left on the CPU": partial(
        expect_fault, patch.object(StackedImageTask, "draw_keys", leave_keys), own, "same device"
    ),
    "a look at a number in a step": partial(
        expect_fault, patch.object(stacked_images, "replica_losses", look_at_losses), packs, "cannot be recorded"
    ),
    "a learning rate that is a number": partial(
        expect_fault, patch.object(Pack, "set_learning_rate", set_number), packs, "other bits"
    ),
    "momentum that is laid out otherwise": partial(
        expect_fault,
        patch.object(network, "_stack_like", stack_contiguously),
        partial(check_resumed, "sgd", channels_last=True),
        "check_fast_path_restrictions",
    ),
    "places that are not filled again": partial(
        expect_fault, patch.object(Recording, "repeat", repeat_blindly), packs, "other bits"
    ),
    "recording without a warm-up": partial(
        expect_fault, patch.object(repeater, "WARM_UP_STEPS", 0), packs, "other bits"
    ),
}
