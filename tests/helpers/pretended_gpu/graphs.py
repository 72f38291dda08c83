"""Streams and graphs of a pretended GPU: what is recorded has no effect until it is replayed, on the same memory."""

from __future__ import annotations

from typing import Any

import torch

from tests.helpers.pretended_gpu.device import DEVICE, Step, find_tensors
from tests.helpers.pretended_gpu.races import CURRENT
from tests.helpers.pretended_gpu.rules import RefusedError


class Stream:
    """Stands for `torch.cuda.Stream`."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    def wait_stream(self, other: Stream) -> None:
        """Take note of it: everything is done in order."""
        DEVICE.races.forget()

    def synchronize(self) -> None:
        """Have the CPU wait for what was done on it."""
        DEVICE.wait("stream")

    def is_capturing(self) -> bool:
        """Whether a step is being recorded."""
        return DEVICE.recording is not None


class StreamContext:
    """Stands for `torch.cuda.stream`: what is done in it is done on a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.before = stream, USUAL

    def __enter__(self) -> None:
        self.before = CURRENT[0]
        CURRENT[0] = self.stream

    def __exit__(self, *_: object) -> None:
        CURRENT[0] = self.before


USUAL = Stream()
CURRENT[0] = USUAL


def set_stream(stream: Stream) -> None:
    """Stand for `torch.cuda.set_stream`."""
    CURRENT[0] = stream


class Pool:
    """Stands for memory that graphs share, and so cannot be replayed at the same time."""

    def __init__(self) -> None:
        self.stream: Stream | None = None

    def enter(self, stream: Stream) -> None:
        """Refuse a second stream: what is replayed on two of them is replayed at the same time."""
        if self.stream not in (None, stream):
            raise RefusedError("graphs that share memory are replayed on two streams")
        self.stream = stream


class Graph:
    """Stands for `torch.cuda.CUDAGraph`."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.steps: list[Step] | None = None
        self.pool = Pool()

    def replay(self) -> None:
        """Repeat what was recorded, into the memory that it was recorded with."""
        assert self.steps is not None, "only what was recorded is replayed"
        self.pool.enter(CURRENT[0])
        DEVICE.counts.launches += 1
        with torch.no_grad():
            for step in self.steps:
                DEVICE.count(step)
                again = step.func(*step.args, **step.kwargs)
                for old, new, made in zip(find_tensors(step.result), find_tensors(again), step.made, strict=True):
                    if made:
                        old.copy_(new)


class Capture:
    """Stands for `torch.cuda.graph`, which leaves its stream current where the recording fails."""

    def __init__(self, graph: Graph, stream: Stream, pool: Pool | None = None) -> None:
        self.graph, self.context = graph, StreamContext(stream)
        graph.pool = graph.pool if pool is None else pool

    def __enter__(self) -> None:
        assert DEVICE.recording is None, "one recording at a time"
        DEVICE.recording, DEVICE.kept = [], {}
        self.context.__enter__()

    def __exit__(self, kind: Any, *_: object) -> None:
        steps, DEVICE.recording = DEVICE.recording, None
        for whole, before in DEVICE.kept.values():  # what is recorded has not been done
            whole.copy_(before)
        if kind is not None:
            raise torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")
        self.context.__exit__()
        self.graph.steps = steps
        for step in steps or []:
            for tensor, made in zip(find_tensors(step.result), step.made, strict=True):
                if made and tensor.is_floating_point():
                    tensor.fill_(torch.nan)  # nobody may look before the first replay
