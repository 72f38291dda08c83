"""Seeds that are hashed at once, against numpy's own sequences and generators."""

from __future__ import annotations

import numpy as np
import pytest

from engine.training.random.entropy import derive_keys
from engine.training.random.seeding import batch_order, shuffle_batches


@pytest.mark.parametrize(
    "entropy", [[1, 4, 2], [0, 4, 100_000], [7], [], [2**32, 4, 1], [2**63 - 1, 4, 3], [1, 2, 3, 4, 5, 6]]
)
def test_keys_are_those_of_numpy(entropy: list[int]) -> None:
    last = np.array([0, 1, 2, 999, 2**32 - 1])
    wanted = [np.random.SeedSequence([*entropy, int(one)]).generate_state(2, np.uint64) for one in last]
    assert derive_keys(entropy, last).tolist() == np.array(wanted).tolist()


def test_keys_of_several_places_are_those_of_numpy() -> None:
    places = np.array([3, 3, 4, 2**32 - 1]), np.array([0, 7, 0, 5])
    pairs = zip(*(numbers.tolist() for numbers in places), strict=True)
    wanted = [np.random.SeedSequence([2**40, 4, *pair]).generate_state(2, np.uint64) for pair in pairs]
    assert derive_keys([2**40, 4], *places).tolist() == np.array(wanted).tolist()


@pytest.mark.parametrize("batch_size", [1, 7, 100, 1000])
@pytest.mark.parametrize("seed", [0, 1, 2**40 + 5])
@pytest.mark.parametrize("epoch", [1, 12, 85, 86])
def test_minibatches_are_shuffled_one_by_one(batch_size: int, seed: int, epoch: int) -> None:
    names = np.arange(0, 3 * 250, 3)
    found = [names.copy(), names.copy()]
    for order in found:
        shuffle_batches(order, batch_size, seed, epoch)
    parts = [names[start : start + batch_size] for start in range(0, len(names), batch_size)]
    wanted = [part[batch_order(seed, epoch, step, len(part))] for step, part in enumerate(parts)]
    assert np.array_equal(found[0], np.concatenate(wanted))
    assert np.array_equal(found[0], found[1])
