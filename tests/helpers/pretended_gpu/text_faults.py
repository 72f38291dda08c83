"""Faults of language models' recorded runs, planted to see that the checks on a pretended GPU find them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from engine.training.models.qrnn import Masks, Qrnn
from engine.training.recording.repeater import Repeater
from engine.training.tasks import text, text_steps
from engine.training.tasks.text_reading import Reader
from engine.training.tasks.text_steps import TextSteps
from tests.helpers.pretended_gpu.cases import Checks
from tests.helpers.pretended_gpu.faults import describe_failure
from tests.helpers.pretended_gpu.recording_faults import freeze_rates, send_slowly, take_any_recording
from tests.helpers.pretended_gpu.text_side_by_side import check_runs, check_waits, make_recipe, make_runs

begin = TextSteps.begin


def keep_state_elsewhere(steps: TextSteps, epoch: int) -> None:
    """Begin an epoch with another tensor for what was read so far, which a recorded step does not know."""
    steps._state = []
    begin(steps, epoch)


take = TextSteps.take


def look_at_row(steps: TextSteps, epoch: int, step: int) -> None:
    """Look at a number that a step needs."""
    steps.segments.rows[step, 0].item()
    take(steps, epoch, step)


read = Reader.read


def read_from_elsewhere(reader: Reader, *given: Any) -> Tensor:
    """Read a text with another tensor for what was read so far."""
    reader._states.clear()
    return read(reader, *given)


def draw_on_cpu(model: Qrnn, streams: Tensor, keys: Tensor) -> Masks:
    """Draw masks on the CPU, and copy them."""
    return model.draw_masks(len(streams), torch.Generator().manual_seed(1))


def check_one(**train: Any) -> None:
    """A run is recorded with the bits that it has kernel by kernel."""
    check_runs(make_runs(make_recipe(**train), 1))


def plant(target: Any, name: str, fault: Any, check: Callable[[], None], message: str) -> Callable[[], None]:
    """What plants a fault, and sees that a check says why it fails; that it passes otherwise is seen elsewhere."""

    def expect() -> None:
        with patch.object(target, name, fault):
            failure = describe_failure(check)
        assert message in failure, failure

    return expect


BITS = "other bits"
falling, longer = partial(check_one, schedule="cosine"), partial(check_one, epochs=3)

TEXT_FAULTS: Checks = {
    "none": longer,
    "none, and a rate that falls": falling,
    "a state in another place": plant(TextSteps, "begin", keep_state_elsewhere, check_one, BITS),
    "a segment from another length's graph": plant(Repeater, "__call__", take_any_recording, check_one, BITS),
    "a learning rate that is frozen": plant(text, "set_learning_rate", freeze_rates, falling, BITS),
    "a wait in the epoch": plant(TextSteps, "take", look_at_row, check_waits, "somebody waits"),
    "a table that is waited for": plant(text_steps, "send", send_slowly, check_waits, "to the GPU"),
    "masks drawn on the CPU": plant(Qrnn, "hash_masks", draw_on_cpu, check_one, "cannot be recorded"),
    "reading on from another place": plant(Reader, "read", read_from_elsewhere, longer, BITS),
}
