"""The probability of one arm's replica beating another's, against a count of all pairs and simulated coverage."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.text.superiority import find_superiority

figures = st.lists(st.sampled_from([90.0, 90.5, 91.0, 92.5, 93.0]), min_size=1, max_size=12)


@given(figures, figures)
def test_probability_is_the_share_of_pairs_that_are_won(one: list[float], other: list[float]) -> None:
    found = find_superiority(one, other)
    back = find_superiority(other, one)
    assert found is not None
    assert back is not None
    wins = [(a > b) + (a == b) / 2 for a in one for b in other]
    assert found[0] == pytest.approx(sum(wins) / len(wins))
    assert found[0] + back[0] == pytest.approx(1.0)
    if found[1] is not None:
        assert 0.0 < found[1][0] <= found[0] <= found[1][1] < 1.0


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Normal figures one SD apart: P = Φ(1/√2) = 0.760."""
    rng = np.random.default_rng(0)
    truth = NormalDist().cdf(1 / math.sqrt(2))
    held = 0
    for _ in range(400):
        found = find_superiority(rng.normal(1.0, size=15).tolist(), rng.normal(size=15).tolist())
        assert found is not None
        assert found[1] is not None
        held += found[1][0] <= truth <= found[1][1]
    assert 0.92 <= held / 400 <= 0.98


def test_there_is_no_interval_where_every_pair_is_won_and_nothing_without_figures() -> None:
    assert find_superiority([3.0, 4.0, 5.0], [0.0, 1.0, 2.0]) == (1.0, None)
    assert find_superiority([3.0, 4.0], [3.5, 1.0]) == (0.75, None), "two replicas show no spread"
    assert find_superiority([], [1.0]) is None
