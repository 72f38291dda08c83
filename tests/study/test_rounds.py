"""When pairs of replicas are enough: the interval for looking, its rounds, and the first of them that decides."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.study.rounds import find_factor, find_first_end, find_pairs_needed, find_rounds

DIFFERENCES = st.lists(st.floats(-1e3, 1e3), min_size=0, max_size=40)


@pytest.mark.parametrize(("pairs", "half"), [(5, 3.78), (10, 1.22), (20, 0.77), (50, 0.47), (100, 0.33)])
def test_half_width_in_sds_is_as_published(pairs: int, half: float) -> None:
    assert find_factor(pairs) / math.sqrt(pairs) == pytest.approx(half, abs=0.005)


def test_first_pairs_show_nothing() -> None:
    assert [math.isinf(find_factor(pairs)) for pairs in (2, 3, 4, 5)] == [True, True, True, False]
    assert find_rounds([]) == []
    assert find_rounds([1.0]) == []


@given(DIFFERENCES)
@example([1e3, 1e3, 1e3, 1e3, 1e3])
def test_rounds_hold_mean_and_sd_of_the_pairs_so_far(differences: list[float]) -> None:
    rounds = find_rounds(differences)
    assert [one.pairs for one in rounds] == list(range(2, len(differences) + 1))
    for one in rounds:
        seen = differences[: one.pairs]
        assert one.difference == pytest.approx(statistics.fmean(seen), abs=1e-9)
        assert one.sd == pytest.approx(statistics.stdev(seen), rel=1e-6, abs=1e-9)
        factor = find_factor(one.pairs)
        wanted = math.inf if math.isinf(factor) else factor * one.sd / math.sqrt(one.pairs)
        assert one.half == pytest.approx(wanted, rel=1e-9)


@given(DIFFERENCES, DIFFERENCES, st.floats(0.01, 100) | st.none())
def test_later_pairs_never_change_the_end(differences: list[float], later: list[float], margin: float | None) -> None:
    found = find_first_end(find_rounds(differences), margin)
    if found is not None:
        assert find_first_end(find_rounds(differences + later), margin) == found


def test_ends_are_a_difference_or_none_that_matters() -> None:
    apart = [2.0, 2.2, 1.9, 2.1, 2.05, 2.0]
    found = find_first_end(find_rounds(apart), None)
    assert found is not None
    assert (found.pairs, found.find_end(None), found.find_end(10.0)) == (5, "a difference", "a difference")
    alike = [0.1, -0.1, 0.05, -0.05, 0.0, 0.0, 0.02]
    assert find_first_end(find_rounds(alike), None) is None
    ended = find_first_end(find_rounds(alike), 0.5)
    assert ended is not None
    assert ended.find_end(0.5) == "no difference that matters"
    assert ended.find_end(0.01) is None


def test_equal_arms_are_equal_only_with_a_margin() -> None:
    assert find_first_end(find_rounds([0.0] * 9), None) is None
    found = find_first_end(find_rounds([0.0] * 9), 0.1)
    assert found is not None
    assert (found.pairs, found.ends) == (5, (0.0, 0.0))


@pytest.mark.parametrize(("sd", "width"), [(1.0, 0.5), (0.3, 2.0), (2.0, 0.1), (0.0, 1.0)])
def test_pairs_needed_are_the_fewest(sd: float, width: float) -> None:
    def holds(pairs: int) -> bool:
        factor = find_factor(pairs)
        return math.isfinite(factor) and factor * sd / math.sqrt(pairs) <= width

    needed = find_pairs_needed(sd, width)
    assert needed is not None
    assert holds(needed)
    assert not holds(needed - 1)


def test_nobody_trains_a_million_pairs() -> None:
    assert find_pairs_needed(1e6, 1e-3) is None
