"""Replicas that a difference needs: against the noncentral t, published tables, and simulated studies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from engine.metrics.contrasts import difference_interval
from engine.metrics.diagnostics import detectable_sd_ratio
from engine.metrics.planning import (
    find_equivalence_power,
    find_power,
    find_ratio_power,
    plan_pilot,
    plan_ratio,
    plan_sd,
    plan_spread,
)


@pytest.mark.parametrize(
    ("effect", "replicas"), [(0.2, 394), (0.3, 176), (0.5, 64), (0.8, 26), (1.0, 17), (1.5, 9), (2.0, 6)]
)
def test_two_arms_need_as_many_replicas_as_cohens_table_says(effect: float, replicas: int) -> None:
    """For 80 % power at 5 %, two-sided; Cohen (1988), the effect in SDs of one arm."""
    found = plan_sd(np.sqrt(2), np.sqrt(2), (), paired=False, margin=effect, power=0.8, measure="accuracy")
    assert found.replicas == replicas
    assert dict(found.curve) == {n: find_power(n, effect / np.sqrt(2), paired=False) for n, _ in found.curve}


def test_paired_power_is_that_of_the_noncentral_t() -> None:
    for replicas in (2, 5, 30):
        critical = stats.t.ppf(0.975, replicas - 1)
        shift = 0.7 * np.sqrt(replicas)
        rest = [stats.nct(replicas - 1, shift).sf(critical), stats.nct(replicas - 1, shift).cdf(-critical)]  # pyright: ignore
        assert find_power(replicas, 0.7, paired=True) == pytest.approx(sum(rest))


@pytest.mark.parametrize("paired", [False, True])
def test_power_is_how_often_simulated_studies_find_it(*, paired: bool) -> None:
    rng, replicas, effect = np.random.default_rng(1), 12, 0.9
    sd = 1.0 if paired else 1 / np.sqrt(2)
    one, other = rng.normal(effect, sd, size=(4000, replicas)), rng.normal(0, sd, size=(4000, replicas))
    if paired:
        other *= 0
    low, high = difference_interval(one, other, paired=paired)
    assert np.mean((low > 0) | (high < 0)) == pytest.approx(find_power(replicas, effect, paired=paired), abs=0.03)
    low, high = difference_interval(one - effect, other, paired=paired)
    inside = np.mean((low > -effect) & (high < effect))
    assert inside == pytest.approx(find_equivalence_power(replicas, effect, paired=paired), abs=0.06)


def test_pilot_is_planned_with_the_upper_end_of_its_sd() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=6), rng.normal(size=6)
    found = plan_pilot(one, other, paired=True, margin=0.5, power=0.8, measure="accuracy")
    sd = (one - other).std(ddof=1)
    assert found.sd == pytest.approx(sd)
    assert found.sd_upper == pytest.approx(sd * np.sqrt(5 / stats.chi2.ppf(0.2, 5)))
    assert found.replicas is not None
    assert find_power(found.replicas, 0.5 / found.sd_upper, paired=True) >= 0.8
    assert find_power(found.replicas - 1, 0.5 / found.sd_upper, paired=True) < 0.8
    alone = plan_pilot(one, None, paired=False, margin=0.5, power=0.8, measure="accuracy")
    assert alone.sd == pytest.approx(np.sqrt(2) * one.std(ddof=1))
    assert alone.n == (6,)


def test_replicas_that_do_not_scatter_need_no_more_than_two() -> None:
    found = plan_pilot(np.ones(4), np.ones(4), paired=False, margin=0.1, power=0.9, measure="accuracy")
    assert (found.replicas, found.replicas_equal, found.replicas_width) == (2, 2, 2)
    assert found.curve == ((2, 1.0),)


def test_margin_that_no_number_finds_has_none() -> None:
    found = plan_sd(1e6, 1e6, (), paired=True, margin=0.001, power=0.8, measure="accuracy")
    assert found.replicas is None
    assert found.replicas_equal is None


def test_known_sd_is_planned_with_as_it_is() -> None:
    plan = plan_spread(1.0, None, margin=0.5, power=0.8, measure="accuracy")
    assert (plan.replicas, plan.n, plan.sd) == (64, (), plan.sd_upper)


def test_published_sds_are_planned_with_at_their_upper_end() -> None:
    rng = np.random.default_rng(4)
    figures = rng.normal(size=20)
    plan = plan_spread(float(figures.std()), 20, margin=0.5, power=0.8, measure="accuracy")
    pilot = plan_pilot(figures, None, paired=False, margin=0.5, power=0.8, measure="accuracy")
    assert plan == pilot, "the same as from the replicas themselves"


@pytest.mark.parametrize(("replicas", "ratio"), [(3, 2.0), (10, 1.5), (10, 1.0), (50, 1.5)])
def test_power_for_two_sds_is_that_of_the_f_test(replicas: int, ratio: float) -> None:
    rng = np.random.default_rng(9)
    one, other = ratio * rng.normal(size=(20_000, replicas)), rng.normal(size=(20_000, replicas))
    quotients = one.var(axis=1, ddof=1) / other.var(axis=1, ddof=1)
    tails = 2 * np.minimum(
        stats.f.cdf(quotients, replicas - 1, replicas - 1), stats.f.sf(quotients, replicas - 1, replicas - 1)
    )
    assert find_ratio_power(replicas, ratio) == pytest.approx((tails < 0.05).mean(), abs=0.012)


def test_replicas_for_two_sds_are_the_fewest() -> None:
    plan = plan_ratio(1.5, 0.8)
    assert plan.replicas == 50
    assert find_ratio_power(49, 1.5) < 0.8 <= find_ratio_power(50, 1.5)
    assert [power for _, power in plan.curve] == sorted(power for _, power in plan.curve)
    assert plan_ratio(1.0000001, 0.8).replicas is None, "no number that anybody trains"
    for replicas in (20, 50, 200):
        assert plan_ratio(detectable_sd_ratio(replicas), 0.8).replicas == pytest.approx(replicas, rel=0.05)
