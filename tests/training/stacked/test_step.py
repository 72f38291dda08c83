"""Recorded steps: what is replayed sees the numbers of its own batch, and other shapes are taken one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from engine.recipe import PackRecipe, TrainRecipe
from engine.training.recording import recorder as recording
from engine.training.recording.recorder import CudaRecorder, Work
from engine.training.recording.repeater import WARM_UP_STEPS
from engine.training.stacked.network import Pack
from engine.training.stacked.step import Stepper


@dataclass
class FakeRecorder:
    """Does what was noted when it is replayed, on the tensors that were there when it was noted."""

    works: bool = True
    warmed: int = 0
    recorded: int = 0
    replayed: int = 0
    results: list[Tensor] = field(default_factory=list)

    @contextlib.contextmanager
    def warm_up(self) -> Iterator[None]:
        self.warmed += 1
        yield

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor | None]:
        if not self.works:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.recorded += 1
        place = torch.zeros(2)

        def replay() -> None:
            self.replayed += 1
            result = work()
            assert result is not None
            place.copy_(result)

        return replay, place


def make_pack() -> Pack:
    models = [nn.Linear(4, 3) for _ in range(2)]
    for scale, model in enumerate(models, start=1):
        nn.init.constant_(model.weight, 0.1 * scale)
        nn.init.constant_(model.bias, -0.1 * scale)
    train = TrainRecipe(epochs=1, batch_size=8, lr=0.1, momentum=0.9, clip_grad_norm=0.5)
    return Pack(models, train, PackRecipe(size=2, shared_batch=True))


def train(recorder: FakeRecorder | None, sizes: list[int]) -> tuple[list[Tensor], dict[str, Tensor]]:
    pack = make_pack()
    stepper = Stepper(pack, TrainRecipe(epochs=1, batch_size=8, clip_grad_norm=0.5), recorder)

    def losses(x: Tensor, y: Tensor) -> Tensor:
        return (pack(x) - y).square().mean((1, 2))

    generator = torch.Generator().manual_seed(0)
    seen = []
    for step, size in enumerate(sizes):
        x, y = torch.randn(size, 4, generator=generator), torch.randn(size, 3, generator=generator)
        seen.append(stepper.step(losses, (x, y), rate=0.1 / (step + 1)))
    return seen, pack.state_of(1)


@pytest.mark.parametrize("sizes", [[8] * 7, [8, 8, 8, 8, 8, 3, 8, 8, 3, 8], [3, 8, 3, 8, 3, 8, 3, 8, 3, 8, 3]])
def test_replayed_steps_are_the_steps_that_would_have_been_taken(sizes: list[int]) -> None:
    recorder = FakeRecorder()
    seen, state = train(recorder, sizes)
    expected, wanted = train(None, sizes)
    assert recorder.recorded == sum(sizes.count(size) > WARM_UP_STEPS for size in set(sizes)), "one of each shape"
    assert recorder.warmed >= WARM_UP_STEPS
    assert recorder.replayed >= 2
    for one, other in zip(seen, expected, strict=True):
        assert torch.equal(one, other), "each result is kept, though its place is written again"
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)


def test_what_cannot_be_recorded_is_taken_step_by_step() -> None:
    recorder = FakeRecorder(works=False)
    seen, state = train(recorder, [8] * 6)
    expected, wanted = train(None, [8] * 6)
    assert recorder.warmed == WARM_UP_STEPS
    assert all(torch.equal(one, other) for one, other in zip(seen, expected, strict=True))
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)


def test_lack_of_memory_is_not_taken_for_a_step_that_cannot_be_recorded() -> None:
    recorder = FakeRecorder()

    def run_out(work: Work) -> tuple[Callable[[], None], Tensor | None]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    recorder.record = run_out
    with pytest.raises(torch.OutOfMemoryError):
        train(recorder, [8] * 6)


def test_failed_recording_leaves_the_usual_stream_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `torch.cuda.graph` does not put it back where the end of the recording fails."""
    current = ["usual"]

    class Graph:
        def __init__(self, graph: object, pool: object, stream: str) -> None:
            self.stream = stream

        def __enter__(self) -> None:
            current[0] = self.stream

        def __exit__(self, *_: object) -> None:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(recording, "FAILED", [])
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    monkeypatch.setattr(torch.cuda, "Stream", lambda: "side")
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", Graph)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: current.__setitem__(0, stream))
    with pytest.raises(RuntimeError, match="previous error"):
        CudaRecorder().record(lambda: torch.zeros(1))
    assert current == ["usual"]
    assert recording.is_spent(), "the memory of this process may be kept for what was not recorded"
