"""Lanes on a GPU: work of different lanes is done at the same time, that of one lane in its order."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import torch

from engine.training.recording.recorder import Recorder, make_recorder

MOST_LANES = 4
"""Streams on which kernels of this size overlap; more of them find no free part of a GPU."""


@dataclass(frozen=True)
class Lane:
    """Holds where some replicas' work is done: a stream, and a recorder whose recordings share memory."""

    stream: Any = None
    """None on a CPU, which does everything in its order."""
    recorder: Recorder | None = None
    """None where nothing is recorded."""

    def enter(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context whose work is done on this lane."""
        return contextlib.nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def wait(self) -> None:
        """Wait until the lane's work is done, so that others may look at what it left."""
        if self.stream is not None:
            self.stream.synchronize()


def make_lanes(device: torch.device, replicas: int, *, graphs: bool) -> list[Lane]:
    """Return a lane for each replica; more than MOST_LANES of them share lanes, round robin."""
    if device.type != "cuda":
        return [Lane()] * replicas
    streams = [torch.cuda.Stream() for _ in range(min(replicas, MOST_LANES))]
    lanes = [Lane(stream, make_recorder(device, graphs=graphs, stream=stream)) for stream in streams]
    return [lanes[replica % len(lanes)] for replica in range(replicas)]
