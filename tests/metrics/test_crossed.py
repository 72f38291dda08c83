"""The decomposition of a grid against sums written out, and against simulations with known components."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.metrics.crossed import (
    decompose,
    decompose_with_intervals,
    describe_true_accuracy,
    measure_grid,
    reduce_figures,
)
from engine.metrics.replicas import Labels, Predictions, Replica
from tests.helpers.records import make_arm, make_result

grids = hnp.arrays(float, st.tuples(st.integers(2, 5), st.integers(2, 5)), elements=st.floats(-10, 10))


def write_out(values: np.ndarray) -> tuple[float, float, float]:
    """The two-way table of a textbook, cell by cell."""
    rows, columns = values.shape
    whole = values.mean()
    of_rows = columns * sum((values[a].mean() - whole) ** 2 for a in range(rows)) / (rows - 1)
    of_columns = rows * sum((values[:, b].mean() - whole) ** 2 for b in range(columns)) / (columns - 1)
    rest = sum(
        (values[a, b] - values[a].mean() - values[:, b].mean() + whole) ** 2
        for a in range(rows)
        for b in range(columns)
    ) / ((rows - 1) * (columns - 1))
    return (of_rows - rest) / columns, (of_columns - rest) / rows, rest


@given(grids)
def test_components_are_those_of_the_two_way_table(values: np.ndarray) -> None:
    assert decompose(values) == pytest.approx(write_out(values), abs=1e-9)


@given(grids)
def test_turned_grid_has_turned_components(values: np.ndarray) -> None:
    first, second, rest = decompose(values)
    assert decompose(values.T) == pytest.approx([second, first, rest], abs=1e-9)


def test_several_figures_have_the_mean_of_their_components() -> None:
    values = np.random.default_rng(0).normal(size=(4, 5, 700))
    each = np.array([decompose(values[:, :, i]) for i in range(700)])
    assert decompose(values) == pytest.approx(each.mean(axis=0))
    reduced = reduce_figures([values.reshape(20, 700)[:, :300], values.reshape(20, 700)[:, 300:]]).reshape(4, 5, 20)
    assert decompose(reduced) == pytest.approx(each.mean(axis=0), abs=1e-12)
    for one, other in zip(decompose_with_intervals(reduced), decompose_with_intervals(values), strict=True):
        assert one == pytest.approx(other, abs=1e-12)


def simulate(rng: np.random.Generator, first: float, second: float, rest: float) -> np.ndarray:
    rows, columns = rng.normal(0, first**0.5, (10, 1)), rng.normal(0, second**0.5, (1, 10))
    return 90 + rows + columns + rng.normal(0, rest**0.5, (10, 10))


@pytest.mark.slow
@pytest.mark.parametrize("truth", [(0.0, 0.0, 1.0), (0.5, 0.0, 0.5), (0.3, 0.3, 0.4)])
def test_estimates_are_unbiased_and_intervals_cover(truth: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(4)
    found, covered = [], np.zeros(3)
    for _ in range(400):
        value, interval = decompose_with_intervals(simulate(rng, *truth))
        assert interval is not None
        found.append(value)
        covered += (interval[:, 0] <= truth) & (np.array(truth) <= interval[:, 1])
    assert np.mean(found, axis=0) == pytest.approx(truth, abs=0.04)
    assert (covered / 400 >= 0.85).all(), "nominal 95 %; few levels and skewed variances"


def test_two_levels_have_no_interval_and_equal_runs_no_variance() -> None:
    assert decompose_with_intervals(np.arange(6.0).reshape(2, 3))[1] is None
    value, interval = decompose_with_intervals(np.full((3, 4), 91.3))
    assert value.tolist() == [0, 0, 0]
    assert interval is not None
    assert interval.tolist() == [[0, 0]] * 3


@pytest.mark.slow
@pytest.mark.parametrize("examples", [800, 4000])
def test_chance_in_the_test_set_is_no_interaction_of_quality(examples: int) -> None:
    """Two sources of one size and no interaction: only which examples are right is left to chance."""
    rng, found = np.random.default_rng(7), []
    for _ in range(40):
        quality = rng.normal(0, 0.01, (8, 1)) + rng.normal(0, 0.01, (1, 8))
        chance = np.clip(rng.beta(4, 1, examples) + quality[:, :, None], 0, 1)
        found.append((rng.random(chance.shape) < chance, chance.mean(axis=2)))
    parts = [describe_true_accuracy(right) for right, _ in found]
    of_quality = np.mean([decompose(100 * quality) for _, quality in found], axis=0)
    kept = np.array([(p.first.variance, p.second.variance, p.interaction.variance) for p in parts if p is not None])
    seen = np.mean([decompose(100 * right.mean(axis=2)) for right, _ in found], axis=0)
    assert seen[2] / seen.sum() > (0.4 if examples == 800 else 0.1), "the accuracy on the test set shows interaction"
    assert kept.mean(axis=0) == pytest.approx(of_quality, abs=0.12)
    assert abs(kept.mean(axis=0)[2]) < 0.05 * of_quality.sum()


@given(hnp.arrays(bool, st.tuples(st.integers(3, 4), st.integers(3, 4), st.integers(2, 6))))
def test_true_accuracy_has_the_components_of_the_mean_covariance(right: np.ndarray) -> None:
    """(σ²(x + y) − σ²(x − y)) / 4 is the component of the covariance of two examples x and y."""
    expected = np.mean(
        [
            (decompose(x.astype(float) + y) - decompose(x.astype(float) - y)) / 4
            for x, y in itertools.permutations(np.moveaxis(right, 2, 0), 2)
        ],
        axis=0,
    )
    found = describe_true_accuracy(right)
    assert found is not None
    parts = (found.first, found.second, found.interaction)
    assert [part.variance for part in parts] == pytest.approx(1e4 * expected, abs=1e-6)
    assert all(part.ci is not None and part.ci[0] <= part.variance + 1e-6 <= part.ci[1] + 2e-6 for part in parts)


def test_one_example_says_nothing_of_others() -> None:
    assert describe_true_accuracy(np.ones((3, 3, 1), dtype=bool)) is None


def replica(folder: Path, run: str, accuracy: float, logits: np.ndarray) -> Replica:
    np.save(folder / f"{run}.npy", logits)
    predictions = Predictions((folder / f"{run}.npy",), logits.shape, logits.dtype)
    result = make_result(test_accuracy=accuracy, test_cross_entropy=accuracy / 100)
    return Replica(run, predictions=predictions, result=result)


def test_grid_of_a_study_is_read_in_the_plans_order(tmp_path: Path) -> None:
    runs = [f"r{i}" for i in range(6)]
    arm = make_arm("Grid", runs, crossed=(("init", 2), ("shuffle", 3)))
    logits = np.random.default_rng(1).normal(size=(6, 9, 4)).astype(np.float32)
    accuracies = [90.0, 91.0, 92.0, 80.0, 81.0, 82.0]
    found = {run: replica(tmp_path, run, accuracies[i], logits[i]) for i, run in enumerate(runs)}
    labels = Labels(np.arange(9) % 4, "")
    grid = measure_grid(arm, found, labels)
    assert grid is not None
    assert (grid.sources, grid.levels) == (("init", "shuffle"), (2, 3))
    assert grid.accuracy is not None
    assert grid.accuracy.first.variance == pytest.approx(50.0)
    assert grid.accuracy.second.variance == pytest.approx(1.0)
    assert grid.accuracy.interaction.variance == pytest.approx(0.0, abs=1e-12)
    assert grid.accuracy.first.share == pytest.approx(50 / 51)
    centred = logits - logits.mean(axis=2, keepdims=True)
    expected = decompose(centred.reshape(2, 3, 36))
    assert grid.logits is not None
    parts = (grid.logits.first, grid.logits.second, grid.logits.interaction)
    assert [part.variance for part in parts] == pytest.approx(expected)
    right = logits.argmax(axis=2) == labels.values
    assert grid.true_accuracy == describe_true_accuracy(right.reshape(2, 3, 9))
    unknown = measure_grid(arm, found, "labels.npy is missing")
    assert unknown is not None
    assert unknown.true_accuracy is None
    assert measure_grid(make_arm("Plain", runs), found, labels) is None
    logits[2, 0, 1] = -np.inf
    masked = measure_grid(arm, {**found, "r2": replica(tmp_path, "r2", 92.0, logits[2])}, labels)
    assert masked is not None
    assert list(masked.figures) == ["accuracy", "true accuracy", "cross-entropy"], "a masked class has no variance"
    partly = measure_grid(arm, {**found, "r3": None}, labels)
    assert partly is not None
    assert partly.figures == {}
    assert partly.reason == "1 of 6 runs of the grid are missing"
