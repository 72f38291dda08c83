"""MNIST-1D: the published examples to their last digits, and test sets of any size beside them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from engine.catalog import presets
from engine.recipe import DataRecipe
from engine.training.data.datasets import Dataset, load_data
from engine.training.data.mnist1d import PUBLISHED_SEED, Signals, draw_signals, make_examples, smooth

PUBLISHED = (
    # SHA-256 of the numbers in units of 2**-20 and of the labels, of the package's make_dataset(get_dataset_args()).
    (
        "32c19ce1c6f9cc7fd5fcf8c1c3c9f8ecc885607a683a450b50d621310e425b67",
        "d97dc7aecec8ad6b5d8f143ba3e9c4bd7e25c420d7dfc2eb990591cfc0ed3e15",
    ),
    (
        "c08eab2d67b0ecfb244835e6a5eb752f00c19a14a252f3512fd11081a11f6fa2",
        "8de99be3ff9dab15ae0dc072c3d6ced7cf6b33d365888ce4a386fc944489452c",
    ),
)
FIRST = (-0.33200566736939013, -0.4719103656557236, -0.778697076293495, -1.0097408265367045, -0.8823525654053073)
"""The beginning of the package's first training example."""

FIRST_TEST = (-0.07877078047732886, -0.21073170588642925, -0.09175138109239452, 0.28267111736736444)


def digest(signals: Signals) -> tuple[str, str]:
    parts = (np.round(signals.inputs * 2**20).astype("<i4"), signals.labels.astype("<i8"))
    values, labels = (hashlib.sha256(part.tobytes()).hexdigest() for part in parts)
    return values, labels


def load(root: Path, test_size: int | None = None) -> Dataset:
    return load_data(DataRecipe(preset="mnist1d", test_size=test_size), root=root, search_path=())


def test_published_examples_are_those_of_the_package() -> None:
    train, test = make_examples(1000)
    assert (digest(train), digest(test)) == PUBLISHED
    assert train.inputs[0, : len(FIRST)] == pytest.approx(FIRST, abs=1e-12)
    assert test.inputs[0, : len(FIRST_TEST)] == pytest.approx(FIRST_TEST, abs=1e-12)
    assert train.labels[:10].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1]


@pytest.mark.parametrize("size", [1, 999, 1001, 6001])
def test_smaller_test_set_is_the_beginning_of_a_larger_one(size: int) -> None:
    (train, test), (same, large) = make_examples(size), make_examples(7000)
    assert test.inputs.shape == (size, 40)
    assert np.array_equal(test.inputs, large.inputs[:size])
    assert np.array_equal(test.labels, large.labels[:size])
    assert np.array_equal(train.inputs, same.inputs)


def test_further_examples_are_new_and_of_the_same_distribution() -> None:
    published, further = draw_signals(PUBLISHED_SEED), draw_signals(PUBLISHED_SEED + 1)
    assert np.bincount(further.labels).tolist() == [500] * 10
    everything = np.concatenate([published.inputs, further.inputs])
    assert len(np.unique(everything, axis=0)) == 10_000, "no example is drawn twice"
    for statistic in (np.mean, np.std):
        one, two = (
            np.array([statistic(signals.inputs[signals.labels == digit], axis=0) for digit in range(10)])
            for signals in (published, further)
        )
        # Each of the 400 has an error of about SD / √500 in both.
        errors = (one - two) / (published.inputs.std() * np.sqrt(2 / 500))
        assert np.sqrt(np.mean(errors**2)) < 1.3


def test_filter_is_the_one_of_scipy() -> None:
    noise = np.random.default_rng(1).normal(size=(50, 72))
    assert smooth(noise) == pytest.approx(gaussian_filter1d(noise, 2.0, axis=1), abs=1e-14)


def test_data_set_has_the_size_that_is_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "datasets"
    usual, small, again = load(root), load(root, test_size=1000), load(root)
    facts = presets.DATA["mnist1d"]
    assert usual.train_inputs.shape == (facts.train_size, *facts.shape)
    assert usual.test_inputs.shape == (facts.test_size, *facts.shape)
    assert (usual.train_inputs.dtype, usual.train_labels.dtype, usual.classes) == (torch.float32, torch.int64, 10)
    assert torch.equal(small.test_inputs, usual.test_inputs[:1000])
    assert torch.equal(again.test_inputs, usual.test_inputs)
    assert not root.exists(), "data that are made need no folder"
