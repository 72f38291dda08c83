"""What `check` says of a plan that works, and that its author may not have meant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tui.commands.check import note_batches


def say(batch_size: int, examples: int, shape: tuple[int, ...] = (8, 8)) -> list[str]:
    plan: Any = SimpleNamespace(recipes={"a": SimpleNamespace(train=SimpleNamespace(batch_size=batch_size))})
    fact: Any = SimpleNamespace(model="resnet6", runs=("a",), train_examples=examples, input_shape=shape)
    return note_batches(plan, [fact, fact])


def test_minibatch_larger_than_the_training_set_is_said_once() -> None:
    [note] = say(5000, 1000)
    assert "resnet6: train.batch_size = 5,000 is more than the 1,000 training examples" in note


@pytest.mark.parametrize(("batch_size", "shape"), [(1000, (8, 8)), (50, (8, 8)), (5000, ())])
def test_minibatch_that_fits_or_is_of_words_is_not(batch_size: int, shape: tuple[int, ...]) -> None:
    assert say(batch_size, 1000, shape) == []
