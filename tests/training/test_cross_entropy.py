"""Losses by hand: the bits of autograd, whether classes lie in rows or in columns."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.training import cross_entropy
from engine.training.cross_entropy import REGISTERS, CrossEntropy, is_equal_by_column
from engine.training.random.seeding import use_one_thread

CLASSES = (1, 2, 7, 8, 10, 15, 16, 33)


def draw(shape: tuple[int, ...], seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 6 * torch.randn(shape, generator=generator)
    return logits, torch.randint(0, shape[-1], shape[:-1], generator=generator)


def differentiate_usually(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    leaf = logits.clone().requires_grad_()
    if logits.dim() == 2:
        losses = functional.cross_entropy(leaf, labels)
    else:
        each = functional.cross_entropy(leaf.flatten(0, 1), labels.flatten(), reduction="none")
        losses = each.view(labels.shape).mean(1)
    losses.sum().backward()
    assert leaf.grad is not None
    return losses.detach(), leaf.grad


def read_bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.int32)


@pytest.mark.parametrize("replicas", [None, 1, 3])
@pytest.mark.parametrize("examples", [1, 15, 16, 100])
def test_losses_and_gradients_have_the_bits_of_autograd(replicas: int | None, examples: int) -> None:
    use_one_thread()
    losses = CrossEntropy()
    for classes in CLASSES:
        for seed in (1, 2):
            shape = (examples, classes) if replicas is None else (replicas, examples, classes)
            logits, labels = draw(shape, seed)
            found, wanted = losses.differentiate(logits, labels), differentiate_usually(logits, labels)
            for one, other in zip(found, wanted, strict=True):
                assert torch.equal(read_bits(one), read_bits(other)), classes


def test_replicas_may_share_labels_and_logits_lie_as_they_like() -> None:
    use_one_thread()
    logits, labels = draw((4, 20, 10))
    spread = logits.transpose(0, 1).contiguous().transpose(0, 1)
    found = CrossEntropy().differentiate(spread, labels[0])
    for one, other in zip(found, differentiate_usually(logits, labels[:1].expand(4, 20)), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 3e38])
@pytest.mark.parametrize("shape", [(20, 10), (3, 20, 10)])
def test_what_is_no_number_has_the_same_bits_too(odd: float, shape: tuple[int, ...]) -> None:
    use_one_thread()
    for place in range(shape[-1]):
        logits, labels = draw(shape)
        logits[..., 4, place] = odd
        found, wanted = CrossEntropy().differentiate(logits, labels), differentiate_usually(logits, labels)
        for one, other in zip(found, wanted, strict=True):
            assert torch.equal(read_bits(one), read_bits(other))


def test_columns_are_used_for_fewer_classes_than_a_register_holds_numbers() -> None:
    numbers = REGISTERS.get(torch.backends.cpu.get_cpu_capability(), 0)
    assert [is_equal_by_column(classes) for classes in CLASSES] == [classes < numbers for classes in CLASSES]


def test_rows_are_used_where_columns_round_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    log_softmax = torch._log_softmax  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]

    class Other:
        """Stands for a torch that rounds columns otherwise."""

        def __getattr__(self, name: str) -> object:
            return getattr(torch, name)

        def _log_softmax(self, x: Tensor, axis: int, half: bool, **given: Tensor) -> Tensor:
            values = log_softmax(x, axis, half, **given)
            return values if x.stride(axis) == 1 else values.mul_(1 + 2**-20)

    monkeypatch.setattr(cross_entropy, "_kernels", Other())
    is_equal_by_column.cache_clear()
    try:
        logits, labels = draw((20, 5))
        assert not is_equal_by_column(5)
        for one, other in zip(
            CrossEntropy().differentiate(logits, labels), differentiate_usually(logits, labels), strict=True
        ):
            assert torch.equal(one, other)
    finally:
        is_equal_by_column.cache_clear()
