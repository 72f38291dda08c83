"""Operations of every kind part nowhere when they are repeated in memory that holds something else each time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from engine.tracing.comparison import compare
from engine.tracing.records import Record
from engine.tracing.tracer import Tracer


def recurrent() -> None:
    network = nn.LSTM(5, 7, 2, dropout=0.2, bidirectional=True)
    network(torch.randn(6, 3, 5))[0].square().sum().backward()
    network.eval()(torch.randn(6, 3, 5))


def attention() -> None:
    network = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    network(torch.randn(3, 5, 16)).square().sum().backward()
    with torch.no_grad():
        network.eval()(torch.randn(3, 5, 16))


def embeddings() -> None:
    words, starts = torch.randint(0, 10, (12,)), torch.tensor([0, 3, 7])
    for network in (nn.EmbeddingBag(10, 4, mode="max"), nn.EmbeddingBag(10, 4, mode="sum", sparse=True)):
        network(words, starts).square().sum().backward()
    torch.optim.SparseAdam(network.parameters()).step()


def alignment() -> None:
    scores = torch.randn(20, 3, 6, requires_grad=True)
    lengths, targets = torch.tensor([20, 15, 12]), torch.randint(1, 6, (3, 8))
    functional.ctc_loss(scores.log_softmax(2), targets, lengths, torch.tensor([8, 5, 2])).backward()


def half_precision() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(392, 4))
    steps = torch.optim.AdamW(network.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        loss = network(torch.randn(4, 3, 9, 9)).square().mean()
    loss.backward()
    steps.step()


def per_example() -> None:
    networks = [nn.Linear(3, 2) for _ in range(3)]
    stacked, _ = stack_module_state(networks)
    inputs = torch.randn(5, 3)

    def lose(weights: dict, inputs: torch.Tensor) -> torch.Tensor:
        return functional_call(networks[0], weights, (inputs,)).square().sum()

    vmap(grad(lose), in_dims=(0, None))(stacked, inputs)


def closure() -> None:
    network, inputs = nn.Linear(3, 1), torch.randn(9, 3)
    steps = torch.optim.LBFGS(network.parameters(), max_iter=3)

    def lose() -> torch.Tensor:
        steps.zero_grad()
        loss = network(inputs).square().mean()
        loss.backward()
        return loss

    steps.step(lose)


def loading() -> None:
    for images, _ in DataLoader(TensorDataset(torch.randn(8, 3), torch.arange(8)), batch_size=4, shuffle=True):
        images.sum()
    with torch.inference_mode():
        nn.Linear(3, 3)(torch.randn(2, 3)).add_(1)


WORKS = (recurrent, attention, embeddings, alignment, half_precision, per_example, closure, loading)


def record(work: Callable[[], None], fill: float) -> list[Record]:
    for size in (16, 64, 256, 1000, 4096, 20_000):
        torch.full((4, size), fill)  # what memory holds that is given back and taken again
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(1).get_state())
        with Tracer() as tracer:
            work()
    return tracer.records


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_repeated_operations_part_nowhere(work: Callable[[], None]) -> None:
    first = record(work, 1.5)
    assert len(first) > 10
    for fill in (2.5, -7.0, float("nan")):
        assert compare(first, record(work, fill)) is None
