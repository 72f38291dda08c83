"""How often intervals hold what they are intervals of: `python -m tests.helpers.coverage [TRIALS]` prints the tables.

Beside each interval stands a simpler one, to show what the other is for. docs/measures.md holds the tables with 4,000
trials, whose own 95 % error is 0.7 percentage points.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from engine.metrics.crossed import decompose_with_intervals
from engine.metrics.diagnostics import detectable_sd_ratio, distribution_variance
from engine.metrics.intervals import jackknife_variance, pairs_interval
from engine.metrics.spread import Ends, half_width, mean_interval, sd_interval
from engine.study.estimate import Estimate
from tests.helpers.simulated_growth import NOISES, Growing, MovedWeights, cover_exponent, cover_rate
from tests.helpers.simulated_replicas import (
    HARD_TO_TELL,
    HELD,
    USUAL,
    WORLDS,
    Classifiers,
    Correlated,
    cover,
    draw_grids,
)
from tests.helpers.simulated_votes import DRIFTING, SURE, UNSURE, cover_class_sd, cover_gap, cover_wrong
from tui.text.differences import Side, differs_from_published, divide, find_side, subtract, unbias

REPLICAS = (3, 5, 8, 10, 20, 50, 100)
SEED = 20
TRIALS = 4000
MOST_OF_ALL_TRIALS = 20
"""More replicas than these have half of the trials."""
RESAMPLES = 200
"""Of the bootstrap in simpler intervals."""

PERCENT = (0.0, 100.0)
Rates = tuple[float, float]
"""Percent of trials: with the simpler interval, and with ours."""


def average_pairs(matrices: np.ndarray) -> np.ndarray:
    """Return the mean of the entries above the diagonal of each matrix (T, R, R)."""
    replicas = matrices.shape[1]
    return (matrices.sum(axis=(1, 2)) - np.trace(matrices, axis1=1, axis2=2)) / (replicas * (replicas - 1))


def bootstrap_errors(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the SD of the SD over resamples of the replicas of each study, (T,)."""
    spreads = np.empty((RESAMPLES, len(values)))
    for number in range(RESAMPLES):
        drawn = rng.integers(values.shape[1], size=values.shape)
        spreads[number] = np.take_along_axis(values, drawn, axis=1).std(axis=1)
    return spreads.std(axis=0)


def cover_mean(world: str, replicas: int, trials: int) -> Rates:
    """Cover the mean: with 1.96 standard errors, and with Student's t."""
    found = WORLDS[world](np.random.default_rng(SEED), trials, replicas)
    half = 1.96 * found.values.std(axis=1) / np.sqrt(replicas - 1)
    centre = found.values.mean(axis=1)
    return cover((centre - half, centre + half), found.mean), cover(mean_interval(found.values), found.mean)


def cover_sd(world: str, replicas: int, trials: int) -> Rates:
    """Cover the SD: with 1.96 bootstrap errors around the SD with R, and with adjusted chi-square."""
    rng = np.random.default_rng(SEED)
    found = WORLDS[world](rng, trials, replicas)
    few = found.values[: max(400, trials // 4)]
    spread, half = few.std(axis=1), 1.96 * bootstrap_errors(few, rng)
    return cover((spread - half, spread + half), found.sd), cover(sd_interval(found.values), found.sd)


def cover_disagreement(world: Classifiers, replicas: int, trials: int) -> Rates:
    """Cover the disagreement: with the jackknife as it is, and within 0 and 100 %."""
    matrices = world.draw_disagreements(np.random.default_rng(SEED), trials, replicas)
    return cover(pairs_interval(matrices), world.disagreement), cover(
        pairs_interval(matrices, PERCENT), world.disagreement
    )


def cover_correlation(world: Correlated, replicas: int, trials: int) -> Rates:
    """Cover the correlation: with the jackknife as it is, and within −1 and 1."""
    rng = np.random.default_rng(SEED)
    truth = world.correlation(rng)
    matrices = world.draw_correlations(rng, trials, replicas)
    return cover(pairs_interval(matrices), truth), cover(pairs_interval(matrices, (-1.0, 1.0)), truth)


def cover_true_sd(world: Classifiers, replicas: int, trials: int, *, few: int | None = None) -> Rates:
    """Cover the true SD: with the jackknife of its square, and from the interval of the accuracy SD.

    The jackknife takes ten times as long as ours, and may be made of a few studies alone.
    """
    outcomes = world.draw(np.random.default_rng(SEED), trials, replicas)
    studies = [study for part in outcomes for study in part]
    ours = np.array([distribution_variance(study)[1] for study in studies])
    simple = np.empty((len(studies[:few]), 2))
    for number, study in enumerate(studies[:few]):
        without = [distribution_variance(np.delete(study, left, axis=0))[0] for left in range(replicas)]
        half = float(half_width(jackknife_variance(np.array(without)), replicas - 1))
        value = distribution_variance(study)[0]
        simple[number] = value - half, value + half
    truth = (world.true_sd / 100.0) ** 2
    return cover((simple[:, 0], simple[:, 1]), truth), cover((ours[:, 0], ours[:, 1]), truth)


def cover_component(
    truth: tuple[float, float, float], levels: int, trials: int, *, part: int = 0, heavy: bool = False
) -> Rates:
    """Cover a variance component: with jackknives over rows and columns, and from the table's mean squares."""
    grids = draw_grids(np.random.default_rng(SEED), trials, (levels, levels), truth, heavy=heavy)
    ours, simple = np.empty((trials, 2)), np.empty((trials, 2))
    for number, grid in enumerate(grids):
        found, ends = decompose_with_intervals(grid)
        assert ends is not None
        ours[number] = ends[part]
        simple[number] = found[part]
    variance = np.zeros(trials)
    for axis in (1, 2):
        without = np.array([_components(np.delete(grids, level, axis=axis))[part] for level in range(levels)])
        variance += jackknife_variance(without)
    half = half_width(variance, levels - 1)
    return (
        cover((simple[:, 0] - half, simple[:, 1] + half), truth[part]),
        cover((ours[:, 0], ours[:, 1]), truth[part]),
    )


def _components(grids: np.ndarray) -> np.ndarray:
    """Return the components of many grids (T, A, B) of one figure, (3, T)."""
    rows, columns = grids.shape[1:]
    whole = grids.mean(axis=(1, 2), keepdims=True)
    first, second = grids.mean(axis=2, keepdims=True) - whole, grids.mean(axis=1, keepdims=True) - whole
    rest = np.square(grids - whole - first - second).sum(axis=(1, 2)) / ((rows - 1) * (columns - 1))
    of_first = columns * np.square(first).sum(axis=(1, 2)) / (rows - 1)
    of_second = rows * np.square(second).sum(axis=(1, 2)) / (columns - 1)
    return np.array([(of_first - rest) / columns, (of_second - rest) / rows, rest])


def _sides(values: np.ndarray, ends: Ends, replicas: int) -> list[Side]:
    found = (Estimate(float(v), interval=(float(a), float(b))) for v, a, b in zip(values, *ends, strict=True))
    return [side for estimate in found if (side := find_side(estimate, replicas)) is not None]


def _draw_two(world: str, sizes: tuple[int, int], trials: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    one, other = (WORLDS[world](rng, trials, size).values for size in sizes)
    return one, other


def cover_mean_difference(world: str, sizes: tuple[int, int], trials: int) -> Rates:
    """Cover the difference of two equal arms' means: with 1.96 standard errors, and as arms are compared."""
    arms = _draw_two(world, sizes, trials)
    difference = arms[0].mean(axis=1) - arms[1].mean(axis=1)
    half = 1.96 * np.hypot(*(arm.std(axis=1) / np.sqrt(arm.shape[1] - 1) for arm in arms))
    one, other = (_sides(arm.mean(axis=1), mean_interval(arm), arm.shape[1]) for arm in arms)
    ours = np.array([subtract(a, b) for a, b in zip(one, other, strict=True)])
    return cover((difference - half, difference + half), 0.0), cover((ours[:, 0], ours[:, 1]), 0.0)


def cover_sd_ratio(world: str, sizes: tuple[int, int], trials: int) -> Rates:
    """Cover the ratio of two equal arms' SDs: 1.96 errors around their difference, and as arms are compared."""
    rng = np.random.default_rng(SEED + 1)
    arms = _draw_two(world, sizes, trials)
    few = [arm[: max(400, trials // 4)] for arm in arms]
    difference = few[0].std(axis=1) - few[1].std(axis=1)
    half = 1.96 * np.hypot(*(bootstrap_errors(arm, rng) for arm in few))
    one, other = (_sides(arm.std(axis=1), sd_interval(arm), arm.shape[1]) for arm in arms)
    ratios = [divide(unbias(a), unbias(b)) for a, b in zip(one, other, strict=True)]
    ours = np.array([ends for ends in ratios if ends is not None])
    return cover((difference - half, difference + half), 0.0), cover((ours[:, 0], ours[:, 1]), 1.0)


def find_ratio(replicas: int, trials: int) -> Rates:
    """Return how often the ratio of SDs that is called detectable is found: by F test, and as arms are compared."""
    rng = np.random.default_rng(SEED)
    arms = [scale * rng.normal(size=(trials, replicas)) for scale in (1.0, detectable_sd_ratio(replicas))]
    ratios = arms[1].var(axis=1) / arms[0].var(axis=1)
    low, high = stats.f.ppf([0.025, 0.975], replicas - 1, replicas - 1)
    sides = [[unbias(side) for side in _sides(arm.std(axis=1), sd_interval(arm), replicas)] for arm in arms]
    ends = [divide(a, b) for a, b in zip(*sides, strict=True)]
    found = [end is not None and not end[0] <= 1 <= end[1] for end in ends]
    return 100.0 * float(np.mean((ratios < low) | (ratios > high))), 100.0 * float(np.mean(found))


def cover_disagreement_difference(world: Classifiers, sizes: tuple[int, int], trials: int) -> Rates:
    """Cover the difference of two equal arms' disagreements: half widths in quadrature, and as arms are compared."""
    rng = np.random.default_rng(SEED)
    arms = [world.draw_disagreements(rng, trials, size) for size in sizes]
    centres = [average_pairs(arm) for arm in arms]
    plain = [pairs_interval(arm) for arm in arms]
    half = np.hypot(*((high - low) / 2 for low, high in plain))
    difference = centres[0] - centres[1]
    one, other = (
        _sides(centre, pairs_interval(arm, PERCENT), n) for centre, arm, n in zip(centres, arms, sizes, strict=True)
    )
    ours = np.array([subtract(a, b) for a, b in zip(one, other, strict=True)])
    return cover((difference - half, difference + half), 0.0), cover((ours[:, 0], ours[:, 1]), 0.0)


def mark_sds(world: str, sizes: tuple[int, int], trials: int) -> Rates:
    """Return how often a published SD is marked where both studies are equal: its own error ignored, and counted."""
    rng = np.random.default_rng(SEED + 1)
    measured, published = _draw_two(world, sizes, max(400, trials // 4))
    errors = bootstrap_errors(published, rng)
    own = 1.96 * bootstrap_errors(measured, rng)
    figures = published.std(axis=1)
    sides = _sides(measured.std(axis=1), sd_interval(measured), sizes[0])
    ignored = np.abs(measured.std(axis=1) - figures) > own
    marks = [
        differs_from_published(side, float(figure), float(error), sizes[1], 0.0)
        for side, figure, error in zip(sides, figures, errors, strict=True)
    ]
    return 100.0 * float(np.mean(ignored)), 100.0 * float(np.mean(marks))


def mark_disagreements(world: Classifiers, sizes: tuple[int, int], trials: int) -> Rates:
    """Return how often a published disagreement is marked where both studies are equal; see `mark_sds`."""
    rng = np.random.default_rng(SEED)
    measured, published = (world.draw_disagreements(rng, max(400, trials // 4), size) for size in sizes)
    means = average_pairs(measured), average_pairs(published)
    low, high = pairs_interval(measured)
    sides = _sides(means[0], pairs_interval(measured, PERCENT), sizes[0])
    marks = [
        differs_from_published(side, float(figure), None, sizes[1], 0.0)
        for side, figure in zip(sides, means[1], strict=True)
    ]
    return 100.0 * float(np.mean((means[1] < low) | (means[1] > high))), 100.0 * float(np.mean(marks))


RARE = Classifiers(ease=9.5, spread=2.0, quality=0.3, examples=800)
FEW = Classifiers(ease=8.0, spread=2.0, quality=0.3, examples=800)
UNEVEN = Classifiers(ease=4.0, spread=2.5, quality=1.0, examples=800)
ROUGH = Classifiers(ease=4.0, spread=2.5, quality=0.5)

Case = Callable[[int, int], Rates]
"""Replicas and trials → rates."""


def _two(cover_two: Callable[..., Rates], world: object) -> Case:
    return lambda replicas, trials: cover_two(world, (replicas, replicas), trials)


def _against_100(cover_two: Callable[..., Rates], world: object) -> Case:
    return lambda replicas, trials: cover_two(world, (replicas, 100), trials)


def _one(cover_one: Callable[..., Rates], world: object) -> Case:
    return lambda replicas, trials: cover_one(world, replicas, trials)


def _grid(truth: tuple[float, float, float], *, part: int = 0, heavy: bool = False) -> Case:
    return lambda levels, trials: cover_component(truth, levels, trials, part=part, heavy=heavy)


def _rate(world: Growing) -> Case:
    return lambda _, trials: cover_rate(world, max(100, trials // 4))[0]


def _name(world: Classifiers) -> str:
    return f"disagreement {world.disagreement:.2g} %"


FEWER = (3, 5, 8, 10, 20)

GROWN = {
    "independent neighbours": Growing(noise=0.1, correlation=0.0),
    "lasting noise": Growing(noise=0.1, correlation=0.9),
    "large lasting noise": Growing(noise=0.3, correlation=0.9),
    "a long bend at the end": Growing(noise=0.1, correlation=0.9, softness=0.5),
    "a wait at the beginning": Growing(noise=0.1, correlation=0.9, waits=True),
}

VOTERS = {"91 % right": SURE, "50 % right": UNSURE, "uneven replicas": DRIFTING}

TABLES: dict[str, tuple[Sequence[int], dict[str, Case]]] = {
    "SD (1.96 bootstrap errors → chi-square by kurtosis)": (
        REPLICAS,
        {world: _one(cover_sd, world) for world in WORLDS},
    ),
    "mean (1.96 standard errors → Student's t)": (REPLICAS, {world: _one(cover_mean, world) for world in WORLDS}),
    "disagreement (jackknife → jackknife within 0 and 100 %)": (
        REPLICAS,
        {_name(world): _one(cover_disagreement, world) for world in (RARE, FEW, USUAL)}
        | {"uneven replicas": _one(cover_disagreement, UNEVEN)},
    ),
    "correlation (jackknife → jackknife within −1 and 1)": (
        REPLICAS,
        {
            f"correlation {name}": _one(cover_correlation, Correlated(noise))
            for name, noise in (("0.996", 0.05), ("0.90", 0.3), ("0.50", 1.0))
        }
        | {"uneven replicas": _one(cover_correlation, Correlated(0.3, unevenness=0.8))},
    ),
    "wrong against other wrong class (pairs as independent → jackknife)": (
        REPLICAS,
        {name: _one(cover_wrong, voters) for name, voters in VOTERS.items()},
    ),
    "disagreement less error (pairs as independent → jackknife)": (
        REPLICAS,
        {name: _one(cover_gap, voters) for name, voters in VOTERS.items()},
    ),
    "SD within a class (classes as independent → chi-square by covariance and kurtosis)": (
        REPLICAS,
        {name: _one(cover_class_sd, voters) for name, voters in VOTERS.items()},
    ),
    "true SD (jackknife of its square → from the accuracy SD's)": (
        FEWER,
        {f"true SD {world.true_sd:.2g} %": _one(cover_true_sd, world) for world in (HARD_TO_TELL, USUAL, ROUGH)},
    ),
    "exponent of growth (one line through all points → Student's t of each replica's slope)": (
        FEWER,
        {f"{noise}, own slopes": _one(cover_exponent, MovedWeights(noise, slope=0.03)) for noise in NOISES}
        | {f"{noise}, own levels alone": _one(cover_exponent, MovedWeights(noise, slope=0.0)) for noise in NOISES},
    ),
    "rate of growth of one pair (points as independent → slopes of four parts)": (
        (1,),
        {name: _rate(world) for name, world in GROWN.items()},
    ),
    "components of a grid R × R (two jackknives → mean squares)": (
        (3, 5, 10),
        {
            "main effect, a third each": _grid((0.3, 0.3, 0.4)),
            "main effect, interaction alone": _grid((0.0, 0.0, 1.0)),
            "main effect, nearly alone": _grid((0.9, 0.05, 0.05)),
            "interaction, a third each": _grid((0.3, 0.3, 0.4), part=2),
            "main effect, heavy tails": _grid((0.3, 0.3, 0.4), heavy=True),
            "interaction, heavy tails": _grid((0.3, 0.3, 0.4), part=2, heavy=True),
        },
    ),
    "ratio of two equal arms' SDs (1.96 bootstrap errors of the difference → chi-squares on the logarithm)": (
        REPLICAS,
        {world: _two(cover_sd_ratio, world) for world in HELD}
        | {"normal, R beside 100": _against_100(cover_sd_ratio, "normal")},
    ),
    "ratio called detectable, found in % of studies (F test → comparison of arms)": (REPLICAS, {"normal": find_ratio}),
    "difference of two equal arms' means (1.96 standard errors → Welch)": (
        REPLICAS,
        {world: _two(cover_mean_difference, world) for world in HELD}
        | {"normal, R beside 100": _against_100(cover_mean_difference, "normal")},
    ),
    "difference of two equal arms' disagreements (half widths in quadrature → Welch, each side its own)": (
        REPLICAS,
        {_name(world): _two(cover_disagreement_difference, world) for world in (FEW, USUAL)},
    ),
    "marks beside equal published SDs, % (their error ignored → counted)": (
        REPLICAS,
        {world: _two(mark_sds, world) for world in HELD} | {"normal, R beside 100": _against_100(mark_sds, "normal")},
    ),
    "marks beside equal published disagreements, % (their error ignored → counted)": (
        REPLICAS,
        {
            _name(USUAL): _two(mark_disagreements, USUAL),
            "the same, R beside 100": _against_100(mark_disagreements, USUAL),
        },
    ),
}
"""Title → numbers of replicas, and what is covered by the name of the case."""


def main() -> int:
    """Print every table whose title holds one of the words on the command line, as Markdown."""
    print_tables(TABLES, lambda size, trials: trials if size <= MOST_OF_ALL_TRIALS else trials // 2)
    return 0


def print_tables(
    tables: dict[str, tuple[Sequence[int], dict[str, Case]]], count_trials: Callable[[int, int], int]
) -> None:
    """Print tables as Markdown: those whose title holds one of the words on the command line.

    Args:
        tables: As `TABLES`.
        count_trials: Replicas and the trials that were asked for → how many there are.
    """
    words = [word for word in sys.argv[1:] if not word.isdigit()]
    trials = next((int(word) for word in sys.argv[1:] if word.isdigit()), TRIALS)
    for title, (sizes, cases) in tables.items():
        if words and not any(word in title for word in words):
            continue
        show([title, *(f"R = {size}" for size in sizes)])
        show(["---", *("---:" for _ in sizes)])
        for name, case in cases.items():
            rates = [case(size, count_trials(size, trials)) for size in sizes]
            show([name, *(f"{simple:.0f} → {ours:.1f}" for simple, ours in rates)])
        sys.stdout.write("\n")


def show(cells: Sequence[str]) -> None:
    """Write one row of a table."""
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
