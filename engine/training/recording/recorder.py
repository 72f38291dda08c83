"""Records the kernels that some work launches, on CUDA as a graph, so that all of them can be launched at once.

A small network's step is hundreds of kernels of a few microseconds each, and launching one costs as much. They are the
same kernels on the same numbers, so the bits stay what they are.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Protocol

import torch
from torch import Tensor

Work = Callable[[], Tensor | None]


class Recorder(Protocol):
    """Records work on a device."""

    def warm_up(self) -> contextlib.AbstractContextManager[None]: ...
    def record(self, work: Work) -> tuple[Callable[[], None], Tensor | None]:
        """Record the operations of `work`; return a function that replays them, and the tensor of their result."""
        ...


FAILED: list[Any] = []
"""Graphs whose recording failed. CUDA's allocator may refer to them as long as the process lives.

Source: https://github.com/pytorch/pytorch/pull/180395; without it, what is noted of a failed recording stays.
"""


class CudaRecorder:
    """Records CUDA graphs, which share memory: they are replayed one after the other, on one stream."""

    def __init__(self, stream: Any = None) -> None:
        """Take a stream of its own, or the one given, to record on, with a pool of memory for all recordings."""
        self.stream: Any = torch.cuda.Stream() if stream is None else stream
        self.pool: Any = torch.cuda.graph_pool_handle()

    @contextlib.contextmanager
    def warm_up(self) -> Generator[None]:
        """Run the work of the context on the recording's stream instead of the usual one."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            yield
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor | None]:
        """Record a graph; see `Recorder`."""
        graph, usual = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                result = work()
        except BaseException:
            FAILED.append(graph)
            raise
        finally:
            torch.cuda.set_stream(usual)  # a recording that fails leaves its own stream as the current one
        return graph.replay, result


def make_recorder(device: torch.device, *, graphs: bool, stream: Any = None) -> Recorder | None:
    """Return a recorder of work on a device, on a stream or on one of its own; None where nothing is recorded.

    After a failed recording nothing is recorded in a process any more; see `is_spent`.
    """
    return CudaRecorder(stream) if graphs and device.type == "cuda" and not FAILED else None


def is_spent() -> bool:
    """Tell whether a recording failed in this process: the next run is better trained in another one."""
    return bool(FAILED)
