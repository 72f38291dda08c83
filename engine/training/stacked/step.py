"""A training step of a pack: computed directly, or on CUDA recorded once and replayed.

A small network's step is hundreds of kernels of a few microseconds each, and launching one costs as much. A CUDA graph
launches all of them at once; they are the same kernels on the same numbers, so the bits stay what they are.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from engine.recipe import TrainRecipe
from engine.training.memory import is_out_of_memory
from engine.training.stacked.network import Pack

LOG = logging.getLogger(__name__)

WARM_UP_STEPS = 3
"""Steps before the recorded one: in them libraries choose their kernels and the optimiser makes its state."""

Losses = Callable[..., Tensor]
"""Losses (K,) of a batch's tensors, as a function of the weights."""


class Recorder(Protocol):
    """Records work on a device."""

    def warm_up(self) -> contextlib.AbstractContextManager[None]: ...
    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Record the operations of `work`; return a function that replays them, and the tensor of their result."""
        ...


class CudaRecorder:
    """Records CUDA graphs."""

    def __init__(self) -> None:
        """Create the CUDA stream of the current device on which graphs are recorded."""
        self.stream = torch.cuda.Stream()

    @contextlib.contextmanager
    def warm_up(self) -> Generator[None]:
        """Run the work of the context on the recording's stream instead of the usual one."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            yield
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Record a graph; see `Recorder`."""
        graph, usual = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                result = work()
        finally:
            torch.cuda.set_stream(usual)  # a recording that fails leaves its own stream as the current one
        return graph.replay, result


def make_recorder(device: torch.device, *, graphs: bool) -> Recorder | None:
    """Return a recorder of steps for a device; None where steps are not recorded."""
    return CudaRecorder() if graphs and device.type == "cuda" else None


def descend(pack: Pack, losses: Tensor, train: TrainRecipe) -> None:
    """Move every replica's weights down the gradient of its own loss, of losses (K,)."""
    pack.optimiser.zero_grad(set_to_none=True)
    # Each replica's loss depends on its own parameters alone, so the gradient of the sum holds all of theirs.
    losses.sum().backward()
    if train.clip_grad_norm:
        pack.clip_gradients(train.clip_grad_norm)
    pack.optimiser.step()


class Stepper:
    """Takes a pack's training steps."""

    def __init__(self, pack: Pack, train: TrainRecipe, recorder: Recorder | None) -> None:
        """Take steps with a pack's optimiser; without a recorder no step is recorded."""
        self.pack, self.train, self.recorder = pack, train, recorder
        self._places: list[Tensor] = []
        """Where a recorded step looks for its batch."""
        self._replay: Callable[[], None] | None = None
        self._result: Tensor | None = None
        self._shapes: tuple[torch.Size, ...] = ()
        self._counts: Counter[tuple[torch.Size, ...]] = Counter()

    def step(self, losses: Losses, tensors: Sequence[Tensor], *, rate: float) -> Tensor:
        """Take one step of every replica.

        Args:
            losses: The function of the losses, the same one at every step.
            tensors: Its arguments.
            rate: The learning rate, which each parameter group multiplies by its own scale.

        Returns:
            Losses before the step, nats (K,).
        """
        self.pack.set_learning_rate(rate)
        if self.recorder is None:
            return self._take(losses, tensors)
        shapes = tuple(tensor.shape for tensor in tensors)
        if self._replay is not None:  # the last minibatch of an epoch has other shapes
            return self._repeat(tensors) if shapes == self._shapes else self._take(losses, tensors)
        self._counts[shapes] += 1
        if self._counts[shapes] <= WARM_UP_STEPS:
            with self.recorder.warm_up():
                return self._take(losses, tensors)
        self._shapes = shapes
        return self._record(losses, tensors, self.recorder)

    def _take(self, losses: Losses, tensors: Sequence[Tensor]) -> Tensor:
        values = losses(*tensors)
        descend(self.pack, values, self.train)
        return values.detach()

    def _record(self, losses: Losses, tensors: Sequence[Tensor], recorder: Recorder) -> Tensor:
        self._places = [tensor.clone() for tensor in tensors]
        try:
            self._replay, self._result = recorder.record(lambda: self._take(losses, self._places))
        except RuntimeError as error:  # a user's network may do what cannot be recorded, such as a copy to the CPU
            if is_out_of_memory(error):
                raise
            LOG.warning("steps are launched kernel by kernel, as they cannot be recorded: %s", error)
            self.recorder = None
            return self._take(losses, tensors)
        return self._repeat(tensors)

    def _repeat(self, tensors: Sequence[Tensor]) -> Tensor:
        assert self._replay is not None, "only what was recorded is repeated"
        assert self._result is not None, "a recorded step has a result"
        for place, tensor in zip(self._places, tensors, strict=True):
            place.copy_(tensor)
        self._replay()
        return self._result.clone()
