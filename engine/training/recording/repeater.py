"""Work that is done again and again on other tensors: directly, or recorded once for each of their shapes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.training.memory import is_out_of_memory
from engine.training.recording.recorder import Recorder, is_spent

LOG = logging.getLogger(__name__)

WARM_UP_STEPS = 3
"""Repetitions before the recorded one: in them libraries choose their kernels and optimisers make their state."""

Shapes = tuple[torch.Size, ...]


@dataclass(frozen=True)
class Recording:
    """One recorded repetition."""

    places: tuple[Tensor, ...]
    """Where it looks for its tensors."""
    replay: Callable[[], None]
    result: Tensor | None

    def repeat(self, tensors: Sequence[Tensor]) -> Tensor | None:
        """Do the work on other tensors, and return a result that stays as it is."""
        for place, tensor in zip(self.places, tensors, strict=True):
            place.copy_(tensor)
        self.replay()
        return None if self.result is None else self.result.clone()


class Repeater:
    """Does some work on tensors."""

    def __init__(
        self,
        work: Callable[..., Tensor | None],
        recorder: Recorder | None,
        *,
        let_go: Callable[[], object] | None = None,
    ) -> None:
        """Take note of the work.

        Args:
            work: A function of tensors; what else it reads and writes stays in the same memory.
            recorder: None where the work is not recorded.
            let_go: Called after a recording, to let go of tensors that other recordings may have the memory of.
        """
        self.work, self.recorder, self.let_go = work, recorder, let_go
        self._recordings: dict[Shapes, Recording] = {}
        self._counts: Counter[Shapes] = Counter()

    def __call__(self, *tensors: Tensor) -> Tensor | None:
        """Do the work once."""
        if self.recorder is None:
            return self.work(*tensors)
        shapes = tuple(tensor.shape for tensor in tensors)
        recording = self._recordings.get(shapes)
        if recording is not None:
            return recording.repeat(tensors)
        if is_spent():  # a recording of something else failed in the meantime
            return self.work(*tensors)
        self._counts[shapes] += 1
        if self._counts[shapes] <= WARM_UP_STEPS:
            with self.recorder.warm_up():
                return self.work(*tensors)
        return self._record(shapes, tensors, self.recorder)

    def forget(self) -> None:
        """Record anew from now on, as other kernels are to be used."""
        self._recordings.clear()
        self._counts.clear()

    def _record(self, shapes: Shapes, tensors: Sequence[Tensor], recorder: Recorder) -> Tensor | None:
        places = tuple(tensor.clone() for tensor in tensors)
        try:
            replay, result = recorder.record(lambda: self.work(*places))
        except RuntimeError as error:  # a user's network may do what cannot be recorded, such as a copy to the CPU
            if is_out_of_memory(error):
                raise
            LOG.warning("steps are launched kernel by kernel, as they cannot be recorded: %s", error)
            self.recorder = None
            return self.work(*tensors)
        finally:
            if self.let_go is not None:
                self.let_go()
        self._recordings[shapes] = Recording(places, replay, result)
        return self._recordings[shapes].repeat(tensors)
