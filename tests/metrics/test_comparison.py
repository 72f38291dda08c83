"""Two arms compared: against scipy, against formulas written out, and by simulation."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from engine.metrics import compare_replicas
from engine.metrics.comparison import Scores, compare_scores
from engine.metrics.contrasts import (
    count_replicas,
    cross,
    crossed_variance,
    difference_interval,
    expect_best,
    find_p_value,
    looking_interval,
    measure_superiority,
)
from tests.helpers.contrast_coverage import (
    ODD,
    Rivals,
    alarm_while_looking,
    count_until_decided,
    cover_examples,
    cover_superiority,
    cover_test_set,
    end_equal_arms,
    reach_margin,
)


def draw_arms(replicas: tuple[int, int] = (4, 6), examples: int = 50, shift: float = 0.5) -> tuple[np.ndarray, ...]:
    """Two arms' logits of three classes, and labels; the first knows more of them."""
    rng = np.random.default_rng(3)
    labels = rng.integers(3, size=examples)
    hints = np.eye(3)[labels]
    arms = [
        rng.normal(size=(count, examples, 3)) + hint * hints
        for count, hint in zip(replicas, (1 + shift, 1.0), strict=True)
    ]
    return arms[0].astype(np.float32), arms[1].astype(np.float32), labels


def test_test_set_interval_is_welchs() -> None:
    a, b, labels = draw_arms()
    found = compare_replicas(a, b, labels, paired=False, margin=None)
    figures = [100.0 * (arm.argmax(2) == labels).mean(axis=1) for arm in (a, b)]
    welch = stats.ttest_ind(*figures, equal_var=False)
    assert found.difference == pytest.approx(figures[0].mean() - figures[1].mean())
    assert found.ci_test_set == pytest.approx(tuple(welch.confidence_interval(0.95)))
    assert found.p_value == pytest.approx(welch.pvalue)
    assert found.n == (4, 6)
    assert found.means == pytest.approx([f.mean() for f in figures])
    assert found.correlation is None


def test_paired_interval_is_students() -> None:
    a, b, labels = draw_arms((5, 5))
    found = compare_replicas(a, b, labels, paired=True, margin=None, measure="cross-entropy")
    figures = []
    for arm in (a.astype(float), b.astype(float)):
        logs = arm - np.log(np.exp(arm).sum(axis=2, keepdims=True))
        figures.append(-logs[:, np.arange(50), labels].mean(axis=1))
    pairs = stats.ttest_rel(*figures)
    assert found.ci_test_set == pytest.approx(tuple(pairs.confidence_interval(0.95)))
    assert found.p_value == pytest.approx(pairs.pvalue)
    assert found.correlation == pytest.approx(np.corrcoef(*figures)[0, 1])
    wins = np.mean([x < y for x in figures[0] for y in figures[1]])
    assert found.p_better == pytest.approx(wins), "the smaller cross-entropy is the better one"


def test_variance_on_new_examples_is_that_of_the_two_way_table() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(5, 30)), rng.normal(size=(7, 30))
    table = a - b[:5]
    replicas, examples = table.shape
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    rest = table - rows[:, None] - columns + table.mean()
    residual = (rest**2).sum() / ((replicas - 1) * (examples - 1))
    of_rows, of_columns = rows.var(ddof=1) / replicas, columns.var(ddof=1) / examples
    expected = max(of_rows + of_columns - residual / (replicas * examples), of_rows, of_columns)
    assert crossed_variance(a[:5], b[:5], paired=True).value == pytest.approx(expected)
    between = (a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) / examples
    of_runs = a.mean(axis=1).var(ddof=1) / 5 + b.mean(axis=1).var(ddof=1) / 7
    assert crossed_variance(a, b, paired=False).value >= max(between, of_runs)
    assert crossed_variance(a, b, paired=False).value <= between + of_runs


@pytest.mark.parametrize("paired", [False, True])
def test_projected_variance_is_that_of_the_components(*, paired: bool) -> None:
    """Of a table that is repeated, replicas or examples count twice: its variance is known without any projection."""
    rng = np.random.default_rng(7)
    replicas, examples = 6, 40
    a = rng.normal(size=(replicas, 1)) + rng.normal(size=examples) + 0.5 * rng.normal(size=(replicas, examples))
    b = rng.normal(size=(replicas, examples))
    crossed = cross(a, b, paired=paired)
    parts = [a - b] if paired else [a, b]
    rest = sum(part.rest for part in crossed.parts)
    of_runs = sum(part.mean(axis=1).var(ddof=1) for part in parts)
    runs = of_runs - rest / examples
    own = (a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) - rest / replicas

    def expect(r: int, n: int) -> float:
        return runs / r + own / n + rest / (r * n)

    assert min(runs, own) > 0
    assert crossed.add_up().value == pytest.approx(expect(replicas, examples))
    assert crossed.project() == pytest.approx((expect(2 * replicas, examples), expect(replicas, 2 * examples)))


def test_more_replicas_and_examples_narrow_the_intervals() -> None:
    a, b, labels = draw_arms((5, 5))
    found = compare_replicas(a, b, labels, paired=True, margin=None)
    differences = np.subtract(*found.figures)
    assert found.narrowed is not None
    expected = stats.t.ppf(0.975, 9) * differences.std(ddof=1) / math.sqrt(10)
    assert found.narrowed.test_set == pytest.approx(expected)
    apart = compare_replicas(a, b, labels, paired=False, margin=None)
    assert apart.narrowed is not None
    again = stats.ttest_ind(*(np.array(f) for f in apart.figures), equal_var=False)
    assert apart.narrowed.test_set < (again.confidence_interval(0.95).high - again.confidence_interval(0.95).low) / 2
    for one in (found, apart):
        assert one.ci_new_examples is not None
        assert one.narrowed is not None
        now = (one.ci_new_examples[1] - one.ci_new_examples[0]) / 2
        assert one.narrowed.replicas is not None
        assert one.narrowed.examples is not None
        assert 0 < one.narrowed.replicas <= now
        assert 0 < one.narrowed.examples <= now


def test_expected_best_is_the_mean_over_all_choices() -> None:
    figures = np.array([3.0, 1.0, 2.0, 5.0, 2.0])
    for count in range(1, 6):
        every = [max(chosen) for chosen in combinations(figures, count)]
        assert expect_best(figures, count) == pytest.approx(np.mean(every))
    assert expect_best(np.full(3, 0.1), 2) == 0.1
    many = np.random.default_rng(0).normal(size=3000)
    assert expect_best(many, 3000) == many.max()
    assert many.mean() < expect_best(many, 1500) < many.max()


def test_best_seed_is_the_best_in_its_measure() -> None:
    a, b, labels = draw_arms((4, 6))
    found = compare_replicas(a, b, labels, paired=False, margin=None)
    assert found.best is not None
    assert found.best[0] == max(found.figures[0]), "four of four"
    assert found.means[1] < found.best[1] < max(found.figures[1]), "four of six"
    losses = compare_replicas(a, b, labels, paired=False, margin=None, measure="cross-entropy")
    assert losses.best is not None
    assert losses.best[0] == min(losses.figures[0])


@pytest.mark.parametrize(("pairs", "width"), [(5, 3.78), (10, 1.22), (20, 0.77), (50, 0.47), (100, 0.33)])
def test_interval_for_looking_has_the_width_of_its_formula(pairs: int, width: float) -> None:
    """Half widths in SDs, from the formula evaluated elsewhere."""
    values = np.random.default_rng(0).normal(size=pairs)
    low, high = looking_interval(values / values.std(ddof=1))
    assert (high - low) / 2 == pytest.approx(width, abs=0.006)


def test_interval_for_looking_says_nothing_of_few_pairs() -> None:
    for pairs in (2, 3, 4):
        low, high = looking_interval(np.ones(pairs))
        assert (low, high) == (-math.inf, math.inf)
        few = np.ones(pairs), np.zeros(pairs)
        scores = Scores(np.empty((pairs, 0)), np.empty((pairs, 0)), few, larger_is_better=True)
        assert compare_scores(scores, paired=True, margin=None, measure="score").ci_looking is None
    assert looking_interval(np.ones(5)) == (1.0, 1.0)


def test_superiority_counts_ties_half() -> None:
    one, other = np.array([1.0, 2.0, 3.0, 3.0]), np.array([0.0, 2.0, 3.0])
    wins = [(x > y) + 0.5 * (x == y) for x in one for y in other]
    found = measure_superiority(one, other)
    assert found.chance == pytest.approx(np.mean(wins))
    statistic = stats.brunnermunzel(one, other).statistic
    assert np.sign(statistic) == -np.sign(found.chance - 0.5)
    assert found.ends[0] <= found.chance <= found.ends[1]
    apart = measure_superiority(one + 10, other)
    assert apart.chance == 1.0
    assert apart.ends[0] < 1.0 <= apart.ends[1]


@pytest.mark.parametrize("replicas", [3, 6, 10, 30])
def test_superiority_of_arms_that_lie_apart_is_surer_the_more_replicas_there_are(replicas: int) -> None:
    """All of R independent pairs won: the exact lower end is the R-th root of 2.5 %."""
    one, other = np.arange(replicas) + 100.0, np.arange(replicas) * 1.0
    assert measure_superiority(one, other).ends == pytest.approx((0.025 ** (1 / replicas), 1.0))
    assert measure_superiority(other, one).ends == pytest.approx((0.0, 1 - 0.025 ** (1 / replicas)))


def test_superiority_with_one_lost_pair_is_that_of_independent_pairs_at_most() -> None:
    one, other = np.arange(20) + 19.5, np.arange(20) * 1.0
    one[0] = 18.5  # below one of the other's
    found = measure_superiority(one, other)
    assert found.chance == 1 - 1 / 400
    assert found.ends[0] > stats.binomtest(19, 20).proportion_ci(0.95, "exact").low


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(("sd", "margin"), [(1.0, 0.5), (0.4, 0.2), (3.0, 0.1), (0.0, 1.0)])
def test_planned_replicas_are_the_fewest_that_keep_the_margin(sd: float, margin: float, *, paired: bool) -> None:
    planned = count_replicas(sd, margin, paired=paired)
    assert planned is not None

    def half(replicas: int) -> float:
        freedom = replicas - 1 if paired else 2 * (replicas - 1)
        return stats.t.ppf(0.975, freedom) * sd / math.sqrt(replicas)

    assert half(planned) <= margin * (1 + 1e-9)
    assert planned == 2 or half(planned - 1) > margin


@pytest.mark.parametrize("paired", [False, True])
def test_replicas_are_planned_up_to_the_most_that_are_looked_for(*, paired: bool) -> None:
    normal = stats.norm.ppf(0.975)  # what t is at millions of degrees of freedom, to seven digits
    near = normal / math.sqrt(9_900_000)
    planned = count_replicas(1.0, near, paired=paired)
    assert planned is not None
    assert abs(planned - 9_900_000) < 10
    assert count_replicas(1.0, normal / math.sqrt(10_100_000), paired=paired) is None


def test_one_replica_gives_means_and_no_interval() -> None:
    a, b, labels = draw_arms((1, 3))
    found = compare_replicas(a, b, labels, paired=False, margin=1.0)
    assert (found.ci_test_set, found.ci_new_examples, found.ci_looking, found.p_better_ci) == (None, None, None, None)
    assert found.verdict == "undecided"
    assert found.replicas_needed is None


def test_equal_arms_differ_by_exactly_nothing() -> None:
    a, _, labels = draw_arms((4, 4))
    found = compare_replicas(a, a, labels, paired=True, margin=0.1)
    assert found.difference == 0.0
    assert found.ci_test_set == found.ci_new_examples == (0.0, 0.0)
    assert found.p_value == 1.0
    assert found.p_better == 0.5
    assert found.verdict == "no difference that matters"
    assert found.replicas_needed == 2


def test_arms_without_spread_have_intervals_without_width() -> None:
    a, b, labels = draw_arms((1, 1))
    found = compare_replicas(np.repeat(a, 3, axis=0), np.repeat(b, 3, axis=0), labels, paired=False, margin=None)
    assert found.ci_test_set == pytest.approx((found.difference, found.difference))
    assert found.difference != 0.0
    assert found.p_value == 0.0
    assert found.ci_new_examples is not None
    assert found.ci_new_examples[0] < found.difference < found.ci_new_examples[1], "other examples scatter all the same"
    assert found.examples_share == pytest.approx(1.0)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([88.7, 88.7], [88.2, 88.2]),  # by chance: each is a multiple of 100/N
        ([88.7, 89.2], [88.2, 88.7]),  # equal in pairs only, up to rounding
        ([88.7] * 4, [88.7] * 4),
    ],
)
def test_few_equal_figures_show_no_spread(one: list[float], other: list[float], *, paired: bool) -> None:
    figures, count = (np.array(one), np.array(other)), len(one)
    tables = np.random.default_rng(1).normal(size=(2, count, 7))
    for rows in (tables, np.empty((2, count, 0))):  # scores of examples, and a number by name
        scores = Scores(rows[0], rows[1], figures, larger_is_better=True)
        found = compare_scores(scores, paired=paired, margin=0.6, measure="accuracy")
        if not paired and np.ptp(one) > 0:
            assert found.ci_test_set is not None
            continue
        assert (found.ci_test_set, found.ci_new_examples, found.p_value) == (None, None, None)
        assert (found.replicas_needed, found.narrowed, found.verdict) == (None, None, "undecided")
        assert found.p_better_ci is not None


def test_five_equal_figures_show_that_there_is_no_spread() -> None:
    figures = np.full(5, 88.7), np.full(5, 88.2)
    scores = Scores(np.empty((5, 0)), np.empty((5, 0)), figures, larger_is_better=True)
    found = compare_scores(scores, paired=False, margin=0.1, measure="accuracy")
    assert found.ci_test_set == pytest.approx((0.5, 0.5))
    assert found.verdict == "real and worth having"


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("replicas", [2, 3])
def test_coarse_accuracies_of_equal_arms_raise_as_few_alarms_as_they_say(replicas: int, *, paired: bool) -> None:
    rng, studies, alarms = np.random.default_rng(8), 2000, 0
    for _ in range(studies):
        figures = [100 * rng.binomial(200, 0.995, size=replicas) / 200 for _ in range(2)]
        scores = Scores(np.empty((replicas, 0)), np.empty((replicas, 0)), (figures[0], figures[1]), True)
        found = compare_scores(scores, paired=paired, margin=0.01, measure="accuracy")
        alarms += found.verdict != "undecided"
    assert alarms <= 0.06 * studies


@pytest.mark.parametrize(
    ("one", "other", "margin", "verdict"),
    [
        ([90.0, 90.1, 90.2, 89.9], [88.0, 88.1, 88.2, 87.9], 0.5, "real and worth having"),
        ([90.0, 90.1, 90.2, 89.9], [88.0, 88.1, 88.2, 87.9], None, "real and worth having"),
        ([90.0, 90.1, 90.2, 89.9], [88.0, 88.1, 88.2, 87.9], 5.0, "real, smaller than the margin"),
        ([90.0, 90.1, 90.2, 89.9], [90.0, 90.1, 90.1, 90.0], 1.0, "no difference that matters"),
        ([90.0, 90.1, 90.2, 89.9], [90.0, 90.1, 90.1, 90.0], 0.01, "undecided"),
        ([90.0, 90.1, 90.2, 89.9], [90.0, 90.1, 90.1, 90.0], None, "undecided"),
        ([88.0, 88.1, 88.2, 87.9], [90.0, 90.1, 90.2, 89.9], 0.5, "real and worth having"),
    ],
)
def test_verdict_follows_its_rule(one: list[float], other: list[float], margin: float | None, verdict: str) -> None:
    figures = np.array(one), np.array(other)
    scores = Scores(np.empty((4, 0)), np.empty((4, 0)), figures, larger_is_better=True)
    found = compare_scores(scores, paired=False, margin=margin, measure="score")
    assert found.verdict == verdict
    assert found.ci_new_examples is None
    assert found.examples == 0


@pytest.mark.parametrize(
    ("shift", "margin", "alone", "sequential"),
    [
        (1.0, 0.5, "real and worth having", "undecided"),
        (9.0, 0.5, "real and worth having", "real and worth having"),
        (9.0, 20.0, "real, smaller than the margin", "real, smaller than the margin"),
        (0.0, 1.0, "no difference that matters", "undecided"),
        (0.0, 9.0, "no difference that matters", "no difference that matters"),
    ],
)
def test_who_stopped_when_it_was_decided_is_judged_by_the_wider_interval(
    shift: float, margin: float, alone: str, sequential: str
) -> None:
    one = np.array([90.0, 90.5, 89.5, 91.0, 89.0, 90.0])
    scores = Scores(np.empty((6, 0)), np.empty((6, 0)), (one + shift, np.full(6, 90.0)), larger_is_better=True)
    verdicts = [
        compare_scores(scores, paired=True, margin=margin, measure="score", sequential=stopped).verdict
        for stopped in (False, True)
    ]
    assert verdicts == [alone, sequential]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"margin": 0.0}, "margin 0.0, expected a number above 0"),
        ({"margin": math.nan}, "margin nan"),
        ({"paired": True}, "4 and 6 replicas"),
        ({"measure": "f1"}, "measure 'f1', expected one of accuracy, cross-entropy"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: dict[str, object], said: str) -> None:
    a, b, labels = draw_arms()
    arguments: dict[str, object] = {"paired": False, "margin": None} | change
    with pytest.raises(ValueError, match=said):
        compare_replicas(a, b, labels, **arguments)  # pyright: ignore[reportArgumentType]


def test_replica_that_is_no_number_is_named() -> None:
    a, b, labels = draw_arms()
    b[2, 7, 1] = np.nan
    with pytest.raises(ValueError, match="not finite in replica 3"):
        compare_replicas(a, b, labels, paired=False, margin=None)
    with pytest.raises(ValueError, match="needs a replica"):
        compare_replicas(a[:0], b[:2], labels, paired=False, margin=None)


def test_p_value_and_interval_agree() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        one, other = rng.normal(0.8, 1, size=5), rng.normal(size=7)
        low, high = difference_interval(one, other, paired=False)
        assert (find_p_value(one, other, paired=False) < 0.05) == (not low <= 0 <= high)


TOLERANCE = 3.5
"""Percentage points, above three standard errors of 800 trials at 95 %."""


@pytest.mark.slow
@pytest.mark.parametrize("paired", [False, True])
def test_intervals_of_differences_cover(*, paired: bool) -> None:
    world = Rivals(own=1.0, quality=0.3, shared=0.8 if paired else 0.0, sizes=(5, 5), examples=400)
    few, ours = cover_examples(world, 800, paired=paired)
    assert ours == pytest.approx(95.0, abs=TOLERANCE)
    assert few < ours
    assert cover_test_set(world, 800, paired=paired)[1] == pytest.approx(95.0, abs=TOLERANCE)


@pytest.mark.parametrize(("chance", "replicas"), [(0.5, 10), (0.75, 10), (0.9, 20), (0.99, 20)])
def test_chances_are_covered(chance: float, replicas: int) -> None:
    assert 94.0 <= cover_superiority(chance, replicas, 1000)[1] <= 100.0


@pytest.mark.parametrize("world", ODD)
def test_looking_raises_few_false_alarms(world: str) -> None:
    plain, ours = alarm_while_looking(world, 50, 500)
    assert ours <= 5.0
    assert plain > 15.0


@pytest.mark.parametrize(("effect", "half", "most"), [(0.5, 37, 62), (0.8, 16, 26), (1.2, 10, 14), (2.0, 7, 8)])
def test_pairs_until_decided_are_those_of_the_rule(effect: float, half: int, most: int) -> None:
    found = count_until_decided(effect, 150, 400)
    assert found == pytest.approx((half, most), rel=0.2)
    assert count_until_decided(effect, 150, 20) == count_until_decided(effect, 150, 20)


def test_equal_arms_end_as_equal() -> None:
    told_apart, equal = end_equal_arms(0.5, 100, 400)
    assert told_apart <= 5.0
    assert equal >= 90.0


def test_plans_keep_their_margin_in_four_of_five_studies() -> None:
    assert reach_margin(8, 500)[1] == pytest.approx(80.0, abs=6.0)
    assert reach_margin(8, 50) == reach_margin(8, 50)
