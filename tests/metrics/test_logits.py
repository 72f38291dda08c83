"""Logits in blocks: from arrays, mapped files and files of a study, with the same measures to the last place."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from engine.metrics import ensembles, logits, outputs, pairs, pairwise, ranks
from engine.metrics.logits import Logits
from engine.metrics.measures import diversity
from engine.metrics.ranks import double_ranks
from engine.metrics.replicas import Predictions, open_logits

RNG = np.random.default_rng(5)
LABELS = RNG.integers(70, size=90)
VALUES = (3 * np.eye(70)[LABELS] + RNG.normal(size=(5, 90, 70))).astype(np.float32)

numbers = st.floats(-3, 3, width=16).map(lambda value: round(value * 2) / 2)


@given(hnp.arrays(np.float32, st.integers(1, 60), elements=numbers), st.integers(1, 7), st.booleans())
def test_ranks_are_those_of_scipy(values: np.ndarray, step: int, double: bool) -> None:
    values = values.astype(np.float64 if double else np.float32)
    out = np.empty(len(values), dtype=np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "STEP_VALUES", step)
        double_ranks((values[start : start + step] for start in range(0, len(values), step)), out)
    assert np.array_equal(out, 2 * stats.rankdata(values) - len(values) - 1)


def in_small_steps(patch: pytest.MonkeyPatch, *, held: int) -> None:
    """Let every constant that says how much is done in one step be small."""
    patch.setattr(logits, "HELD_BYTES", 0)
    patch.setattr(logits, "BLOCK_VALUES", 1000)
    patch.setattr(outputs, "PART_VALUES", 500)
    patch.setattr(pairwise, "PART_VALUES", 500)
    patch.setattr(pairwise, "PRODUCT_VALUES", 1000)
    patch.setattr(pairs, "ROWS_AT_ONCE", 2)
    patch.setattr(outputs, "ROWS_AT_ONCE", 2)
    patch.setattr(pairwise, "RANK_BYTES", held * 4 * VALUES[0].size)
    patch.setattr(ranks, "STEP_VALUES", 800)
    patch.setattr(ensembles, "ROWS_AT_ONCE", 2)
    patch.setattr(ensembles, "BLOCK_VALUES", 2000)
    patch.setattr(ensembles, "DOUBTFUL_VALUES", 1000)


@pytest.mark.parametrize("held", [0, 2, 5])
@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_large_arrays_have_the_measures_of_small_ones(
    held: int, equal: bool, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = VALUES.astype(dtype)
    if equal:
        values[[2, 4]] = values[0]
    whole = asdict(diversity(values, LABELS, bootstrap=10))
    in_small_steps(monkeypatch, held=held)
    found = asdict(diversity(values, LABELS, bootstrap=10))
    assert found.pop("reasons") == whole.pop("reasons") == {}
    for name, value in whole.items():
        # Normalisers of pairs are products in float32.
        exact = 1e-7 if name == "ensemble_cross_entropy_delta" else 1e-10
        assert found[name] == pytest.approx(value, rel=exact, abs=exact), name


@pytest.mark.parametrize("held", [0, 2])
def test_equal_replicas_in_small_steps_are_exactly_equal(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_steps(monkeypatch, held=held)
    measured = diversity(np.repeat(VALUES[:1], 4, axis=0), LABELS, bootstrap=0)
    assert (measured.correlation, measured.pearson, measured.disagreement) == (1.0, 1.0, 0.0)
    assert (measured.ensemble_delta, measured.ensemble_cross_entropy_delta) == (0.0, 0.0)


def test_replicas_of_one_order_correlate_perfectly_however_they_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    scaled = np.stack([VALUES[0], VALUES[1], 4 * VALUES[0]])
    for held in (0, 1, 2, 3):
        monkeypatch.setattr(pairwise, "RANK_BYTES", held * 4 * VALUES[0].size)
        matrix = pairwise.rank_correlation_matrix(Logits.of_array(scaled))
        assert matrix[0, 2] == 1.0
        assert matrix[0, 1] < 1.0


def write(folder: Path, values: np.ndarray, *, columns_first: bool = False) -> list[Predictions]:
    paths = [folder / f"{number}.npy" for number in range(len(values))]
    for path, one in zip(paths, values, strict=True):
        np.save(path, np.asfortranarray(one) if columns_first else one)
    return [Predictions((path,), values[0].shape, values.dtype) for path in paths]


@pytest.mark.parametrize("columns_first", [False, True])
def test_files_have_the_measures_of_the_array_in_them(
    columns_first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write(tmp_path, VALUES, columns_first=columns_first)
    monkeypatch.setattr("engine.metrics.replicas.HELD_BYTES", 0)
    opened = open_logits(files)
    assert opened.array is None
    assert np.array_equal(opened.take_block(slice(20, 33)), VALUES[:, 20:33])
    some = np.array([3, 4, 40])
    assert np.array_equal(opened.take_block(some), VALUES[:, some])
    assert opened.take_block(some[:0]).shape == (5, 0, 70)
    assert np.array_equal(
        pairwise.rank_correlation_matrix(opened), pairwise.rank_correlation_matrix(Logits.of_array(VALUES))
    )


def test_block_of_an_ensemble_is_the_mean_of_its_members_blocks(tmp_path: Path) -> None:
    one, other = write(tmp_path, VALUES[:2])
    both = Predictions((*one.files, *other.files), one.shape, one.dtype)
    assert np.array_equal(both.read(slice(5, 9)), both.read()[5:9])
    assert both.read(slice(5, 9)) == pytest.approx(VALUES[:2, 5:9].mean(axis=0), abs=1e-6)
