"""Faults of recorded single runs, planted to see that the checks on a pretended GPU find them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from engine.training.averaging import WeightAverage
from engine.training.data import batches
from engine.training.data.batches import EpochTable
from engine.training.data.datasets import Dataset
from engine.training.recording import lanes, recorder
from engine.training.recording.recorder import CudaRecorder
from engine.training.recording.repeater import Recording, Repeater
from engine.training.tasks import device_steps, images, side_by_side
from engine.training.tasks.device_steps import DeviceSteps
from tests.helpers.pretended_gpu.cases import Checks
from tests.helpers.pretended_gpu.cuda import REPLACED
from tests.helpers.pretended_gpu.faults import expect_fault
from tests.helpers.pretended_gpu.images import check_own_network as check_pack_of_own
from tests.helpers.pretended_gpu.side_by_side import (
    check_lanes,
    check_onset,
    check_own_network,
    check_preset,
    check_refused,
    check_setting,
    check_waits,
)

begin = DeviceSteps.begin


def keep_order(steps: DeviceSteps, epoch: int) -> None:
    """Begin an epoch with the table of the first one."""
    first = getattr(steps, "table", None)
    begin(steps, epoch)
    steps.table = first or steps.table


def keep_total(steps: DeviceSteps, epoch: int) -> None:
    """Begin an epoch with another tensor for its losses, which a recorded step does not know."""
    begin(steps, epoch)
    steps.total = torch.zeros((), device=steps.total.device)


call = Repeater.__call__


def take_any_recording(repeater: Repeater, *tensors: Tensor) -> Tensor | None:
    """Replay whatever was recorded first on as much of a batch as fits into it."""
    if repeater._recordings:
        (recording, *_) = repeater._recordings.values()
        for place, tensor in zip(recording.places, tensors, strict=True):
            kept = tuple(slice(length) for length in tensor.shape)
            place[kept].copy_(tensor)
        recording.replay()
        return recording.result
    return call(repeater, *tensors)


def freeze_rates(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set a learning rate as a number, which a recorded step keeps."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


columns_of = EpochTable.columns_of


def look_at_columns(table: EpochTable, step: int) -> Tensor:
    """Return a step's columns, and look at one number of them."""
    columns = columns_of(table, step)
    columns[0, 0].item()
    return columns


def send_slowly(numbers: Any, device: torch.device) -> Tensor:
    """Copy numbers from memory that the GPU cannot fetch from by itself."""
    return torch.from_numpy(numbers).to(device)


def average_on_cpu(average: WeightAverage, model: nn.Module) -> None:
    """Keep a running mean on the CPU."""
    average.count += 1
    for name, parameter in model.named_parameters():
        if average.count == 1:
            average.mean[name] = parameter.detach().cpu()
        else:
            average.mean[name].lerp_(parameter.detach(), 1.0 / average.count)


PLACES: dict[torch.Size, Tensor] = {}


def share_places(repeater: Repeater, shapes: Any, tensors: Sequence[Tensor], recorder: Any) -> Tensor | None:
    """Record work that looks for its tensors where that of all other runs does."""
    places = tuple(PLACES.setdefault(tensor.shape, tensor.clone()) for tensor in tensors)
    replay, result = recorder.record(lambda: repeater.work(*places))
    repeater._recordings[shapes] = Recording(places, replay, result)
    return repeater._recordings[shapes].repeat(tensors)


def make_one_recorder(device: torch.device, replicas: int, *, graphs: bool) -> list[lanes.Lane]:
    """Give every replica a stream of its own, and all of them one recorder, whose memory they share."""
    one = CudaRecorder(torch.cuda.Stream())
    return [lanes.Lane(torch.cuda.Stream(), one) for _ in range(replicas)]


def forget_nothing(repeater: Repeater) -> None:
    """Go on with what was recorded under other kernels."""


def leave_stream(stream: object) -> None:
    """Leave the stream of a failed recording current."""


class Careless(list[Any]):
    """Holds no graph whose recording failed."""

    def append(self, graph: object) -> None:
        """Forget it."""


@property
def scale_each_time(data: Dataset) -> tuple[Tensor, Tensor]:
    """Copy mean and SD to the device at every batch."""
    return data._make_scales(data.train_inputs.device)


def draw_keys_once(recipe: Any, data: Any, network: Any, epoch: int) -> Any:
    """Draw the keys of the first epoch in every one."""
    return draw_keys(recipe, data, network, 1)


draw_keys = device_steps._draw_keys

linear, free = partial(check_preset, "linear"), partial(check_onset, "kernels")
constant = partial(check_pack_of_own, shared=True, constant=True)
averaged = partial(check_setting, averaging="aswa")


def plant(target: Any, name: str, fault: Any, check: Any, message: str) -> Any:
    """What is planted, and what a check that finds it says."""
    return partial(expect_fault, patch.object(target, name, fault), check, message)


BITS = "other bits"

RECORDING_FAULTS: Checks = {
    "an order that is not refreshed": plant(DeviceSteps, "begin", keep_order, linear, BITS),
    "a sum of losses in another place": plant(DeviceSteps, "begin", keep_total, linear, BITS),
    "the last minibatch from another graph": plant(Repeater, "__call__", take_any_recording, linear, BITS),
    "a learning rate that is frozen": plant(images, "set_learning_rate", freeze_rates, linear, BITS),
    "keys of masks that are not refreshed": plant(device_steps, "_draw_keys", draw_keys_once, check_own_network, BITS),
    "a wait in the epoch": plant(EpochTable, "columns_of", look_at_columns, check_waits, "somebody waits"),
    "a table that is waited for": plant(batches, "send", send_slowly, check_waits, "to the GPU"),
    "mean and SD copied each time": plant(Dataset, "_scales", scale_each_time, linear, "cannot be recorded"),
    "averages on the CPU": plant(WeightAverage, "add", average_on_cpu, averaged, "same device"),
    "runs that share a place": plant(Repeater, "_record", share_places, linear, "two streams race"),
    "streams that share memory": plant(side_by_side, "make_lanes", make_one_recorder, check_lanes, "two streams"),
    "kernels not recorded anew": plant(Repeater, "forget", forget_nothing, free, "recorded anew"),
    "a failed recording forgotten": plant(recorder, "FAILED", Careless(), check_refused, "another process"),
    "a stream that stays current": partial(
        expect_fault, patch.dict(REPLACED, set_stream=leave_stream), constant, "usual stream"
    ),
}
