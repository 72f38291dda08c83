"""How a seed that a program sets is written down."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engine.tracing.seeds import SeedWatch


class Address:
    """Has a text that holds where it lies."""


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((Address(),), "Address"),
        ((np.random.PCG64(1),), "PCG64"),
        ((5,), "5"),
        ((np.int64(5),), "5"),
        ((torch.tensor([1, 2]),), "[1, 2]"),
        (([1, Address()],), "[1, Address]"),
        (("text",), "text"),
        ((None,), "None"),
        ((), "none"),
    ],
)
def test_seed_is_written_as_text_that_is_the_same_in_every_process(given: tuple[object, ...], text: str) -> None:
    watch = SeedWatch(fixed=False)
    owner = SimpleNamespace(seed=lambda *_: None)
    watch.watch(owner, "seed", "random.seed")
    owner.seed(*given)
    assert [one.value for one in watch.seen] == [text]
