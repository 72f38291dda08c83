"""The five measures against scipy and the formulas, pair by pair, with every kind of tie and degenerate input."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special, stats

from engine.catalog.measures import MEASURES, list_fields
from engine.metrics import Diversity, diversity, ensembles
from engine.metrics.logits import Logits

MEANS = ("accuracy_mean", "cross_entropy_mean")
SPREADS = ("accuracy_sd", "accuracy_sd_error", "cross_entropy_sd", "cross_entropy_sd_error")
PAIRWISE = ("disagreement", "correlation", "ensemble_delta", "ensemble_cross_entropy_delta", "pearson")
INTERVALS = (
    "accuracy_mean_ci",
    "cross_entropy_mean_ci",
    "accuracy_sd_ci",
    "cross_entropy_sd_ci",
    "disagreement_ci",
    "correlation_ci",
    "ensemble_delta_ci",
)

RNG = np.random.default_rng(0)


def draw(replicas: int, examples: int, classes: int, *, kind: str = "plain") -> tuple[np.ndarray, np.ndarray]:
    """Logits with a common part, so that replicas agree about as much as trained ones do."""
    rng = np.random.default_rng([replicas, examples, classes])
    labels = rng.integers(classes, size=examples)
    common = 2.0 * np.eye(classes)[labels] + rng.normal(size=(examples, classes))
    logits = (common + rng.normal(size=(replicas, examples, classes))).astype(np.float32)
    if kind == "ties":
        logits = np.round(logits)
    elif kind == "half":
        logits = logits.astype(np.float16)
    elif kind == "double":
        logits = logits.astype(np.float64) + rng.normal(size=logits.shape) * 1e-9
    elif kind == "signed zeros":
        logits[logits > 1] = 0.0
        logits[logits < -1] = -0.0
    elif kind == "large":
        logits = logits * 1000
    elif kind == "far apart":
        logits = logits * 1e5
    return logits, labels


def rho(one: np.ndarray, other: np.ndarray) -> float:
    result: Any = stats.spearmanr(one.ravel(), other.ravel())
    return float(result.statistic)


def linear(one: np.ndarray, other: np.ndarray) -> float:
    result: Any = stats.pearsonr(one.ravel(), other.ravel())
    return float(result.statistic)


def oracle(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Every measure by its definition, in float64, one pair at a time."""
    wide = logits.astype(np.float64)
    examples = len(labels)
    accuracies = [100.0 * np.mean(one.argmax(1) == labels) for one in wide]
    losses = [-np.mean(special.log_softmax(one, axis=1)[np.arange(examples), labels]) for one in wide]
    pairs = list(itertools.combinations(range(len(wide)), 2))
    both = [(wide[i] + wide[j]) / 2 for i, j in pairs]
    infinite = bool(np.isinf(wide).any())
    joint_accuracy = [100.0 * np.mean(mean.argmax(1) == labels) for mean in both]
    joint_loss = [-np.mean(special.log_softmax(mean, axis=1)[np.arange(examples), labels]) for mean in both]
    return {
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_sd": float(np.std(accuracies)),
        "cross_entropy_mean": float(np.mean(losses)),
        "cross_entropy_sd": float(np.std(losses)),
        "disagreement": float(np.mean([100.0 * np.mean(wide[i].argmax(1) != wide[j].argmax(1)) for i, j in pairs])),
        "correlation": float(np.mean([rho(wide[i], wide[j]) for i, j in pairs])),
        "pearson": math.nan if infinite else float(np.mean([linear(wide[i], wide[j]) for i, j in pairs])),
        "ensemble_delta": float(
            np.mean([a - (accuracies[i] + accuracies[j]) / 2 for a, (i, j) in zip(joint_accuracy, pairs, strict=True)])
        ),
        "ensemble_cross_entropy_delta": float(
            np.mean([a - (losses[i] + losses[j]) / 2 for a, (i, j) in zip(joint_loss, pairs, strict=True)])
        ),
    }


KINDS = ["plain", "ties", "half", "double", "signed zeros", "large", "far apart"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 50, 3), (5, 300, 10), (7, 40, 2), (3, 3, 4), (4, 700, 100)])
def test_measures_equal_their_definitions_pair_by_pair(shape: tuple[int, int, int], kind: str) -> None:
    logits, labels = draw(*shape, kind=kind)
    measured = diversity(logits, labels, bootstrap=10)
    for name, expected in oracle(logits, labels).items():
        value = getattr(measured, name)
        assert value == pytest.approx(expected, abs=1e-6, rel=1e-6), name


@pytest.mark.slow
def test_large_rank_sums_stay_within_a_millionth() -> None:
    logits, labels = draw(3, 40_000, 10)
    measured = diversity(logits, labels, bootstrap=0)
    pairs = itertools.combinations(range(3), 2)
    expected = np.mean([rho(logits[i], logits[j]) for i, j in pairs])
    assert measured.correlation == pytest.approx(expected, abs=1e-6)


def test_example_by_hand() -> None:
    """Two replicas, four examples, two classes: 3 and 1 right, disagreement on 2, the mean right on 3."""
    labels = np.array([0, 0, 1, 1])
    one = np.array([[3, 0], [3, 0], [0, 3], [1, 0]], dtype=np.float32)
    other = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    measured = diversity(np.stack([one, other]), labels, bootstrap=0)
    assert measured.accuracy_mean == 50.0
    assert measured.accuracy_sd == 25.0
    assert measured.disagreement == 50.0
    assert measured.ensemble_delta == 25.0


def test_equal_replicas_are_exactly_zero_and_one() -> None:
    logits, labels = draw(1, 333, 7)
    measured = diversity(np.repeat(logits, 6, axis=0), labels)
    assert (measured.accuracy_sd, measured.cross_entropy_sd, measured.disagreement) == (0.0, 0.0, 0.0)
    assert (measured.correlation, measured.pearson, measured.ensemble_delta) == (1.0, 1.0, 0.0)
    assert measured.ensemble_cross_entropy_delta == 0.0
    assert (measured.accuracy_sd_error, measured.cross_entropy_sd_error) == (0.0, 0.0)
    assert measured.disagreement_ci == (0.0, 0.0)
    assert measured.correlation_ci == (1.0, 1.0)
    assert measured.reasons == {}


@pytest.mark.parametrize("where", ["one", "all"])
def test_constant_logits_have_no_correlation_and_say_so(where: str) -> None:
    logits, labels = draw(3, 40, 5)
    logits[slice(0, 1) if where == "one" else slice(None)] = 2.5
    measured = diversity(logits, labels)
    assert measured.correlation is measured.pearson is measured.correlation_ci is None
    assert "replica 1" in measured.reasons["correlation"]
    assert measured.disagreement is not None
    assert measured.ensemble_delta is not None


def test_one_replica_has_means_and_reasons() -> None:
    logits, labels = draw(1, 40, 5)
    measured = diversity(logits, labels)
    assert (measured.n, measured.accuracy_mean is None, measured.cross_entropy_mean is None) == (1, False, False)
    for name in (*SPREADS, *PAIRWISE, *INTERVALS):
        assert getattr(measured, name) is None
        assert "at least two" in measured.reasons[name]


def test_two_replicas_have_everything_but_intervals() -> None:
    measured = diversity(*draw(2, 40, 5))
    assert all(getattr(measured, name) is not None for name in (*MEANS, *SPREADS, *PAIRWISE))
    assert all(getattr(measured, name) is None and "three" in measured.reasons[name] for name in INTERVALS)


@pytest.mark.parametrize("shape", [(0, 10, 3), (3, 0, 3)])
def test_nothing_to_measure_is_said(shape: tuple[int, int, int]) -> None:
    measured = diversity(np.zeros(shape, dtype=np.float32), np.zeros(shape[1], dtype=np.int64))
    assert measured.n == shape[0]
    assert set(measured.reasons) == set(list_fields(MEASURES["images"]))


@pytest.mark.parametrize(("value", "classes"), [(np.nan, [1]), (np.inf, [1]), (-np.inf, [0, 1, 2])])
def test_logits_that_are_not_finite_are_named_by_replica(value: float, classes: list[int]) -> None:
    logits, labels = draw(4, 30, 3)
    logits[2, 5, classes] = value
    measured = diversity(logits, labels)
    assert measured.disagreement is None
    assert "replica 3" in measured.reasons["disagreement"]


@pytest.mark.parametrize("where", ["the same class", "another class in each"])
@pytest.mark.parametrize("kind", ["plain", "ties", "double", "large"])
def test_masked_classes_have_the_lowest_ranks(kind: str, where: str) -> None:
    """A class with −inf is not the true one; its logits tie with each other below all others."""
    logits, labels = draw(5, 60, 6, kind=kind)
    shift = np.zeros((5, 1), dtype=int) if where == "the same class" else np.arange(5)[:, None]
    np.put_along_axis(logits, ((labels + 1 + shift) % 6)[:, :, None], -np.inf, axis=2)
    measured = diversity(logits, labels, bootstrap=10)
    expected = oracle(logits, labels)
    for name in ("accuracy_mean", "cross_entropy_mean", "cross_entropy_sd", *PAIRWISE[:-1]):
        assert getattr(measured, name) == pytest.approx(expected[name], abs=1e-6, rel=1e-6), name
    assert measured.pearson is None
    assert measured.reasons == {"pearson": "undefined: logits of −inf in replica 1, 2, 3, 4, 5"}


def test_masked_true_class_has_an_infinite_cross_entropy_and_says_so() -> None:
    logits, labels = draw(4, 60, 6)
    logits[1, 7, labels[7]] = -np.inf
    measured = diversity(logits, labels, bootstrap=10)
    with np.errstate(invalid="ignore"):
        expected = oracle(logits, labels)
    for name in ("accuracy_mean", "disagreement", "correlation", "ensemble_delta"):
        assert getattr(measured, name) == pytest.approx(expected[name], abs=1e-6), name
    for name in ("cross_entropy_mean", "cross_entropy_sd", "ensemble_cross_entropy_delta"):
        assert getattr(measured, name) is None
        assert "replica 2 masks the true class" in measured.reasons[name]


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((2, 3)), np.zeros(3, dtype=int)),
        (np.zeros((2, 3, 4)), np.zeros(2, dtype=int)),
        (np.zeros((2, 3, 4)), np.array([0, 1, 4])),
        (np.zeros((2, 3, 4)), np.array([0, 1, -1])),
        (np.zeros((2, 3, 4), dtype=int), np.zeros(3, dtype=int)),
        (np.zeros((2, 3, 4)), np.zeros(3)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(logits: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        diversity(logits, labels)


def test_inputs_are_not_changed_and_results_repeat_bit_for_bit() -> None:
    logits, labels = draw(6, 200, 10, kind="ties")
    before = logits.copy()
    first, second = diversity(logits, labels), diversity(logits, labels)
    assert asdict(first) == asdict(second)
    assert np.array_equal(before, logits)
    assert diversity(logits, labels, seed=2).accuracy_sd_error != first.accuracy_sd_error


def test_no_bootstrap_leaves_the_errors_out() -> None:
    measured = diversity(*draw(3, 40, 5), bootstrap=0)
    assert measured.accuracy_sd_error is None
    assert "bootstrap" in measured.reasons["accuracy_sd_error"]


@pytest.mark.slow
def test_bootstrap_error_equals_a_plain_loop() -> None:
    logits, labels = draw(10, 100, 5)
    measured = diversity(logits, labels, bootstrap=20_000)
    accuracies = 100.0 * np.mean(logits.argmax(2) == labels, axis=1)
    resampled = [np.std(RNG.choice(accuracies, 10)) for _ in range(20_000)]
    assert measured.accuracy_sd_error == pytest.approx(np.std(resampled), rel=0.03)


small = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=5),
    elements=st.floats(-4, 4, width=16).map(lambda v: round(v * 2) / 2),
)


def values(measured: Diversity) -> dict[str, float]:
    content = asdict(measured)
    return {
        name: content[name]
        for name in (*MEANS, "accuracy_sd", "cross_entropy_sd", *PAIRWISE)
        if content[name] is not None
    }


@pytest.mark.slow
@given(small)
def test_order_of_replicas_and_examples_does_not_matter(logits: np.ndarray) -> None:
    labels = np.arange(logits.shape[1]) % logits.shape[2]
    plain = values(diversity(logits, labels, bootstrap=0))
    turned = values(diversity(logits[::-1, ::-1], labels[::-1], bootstrap=0))
    assert turned == pytest.approx(plain, abs=1e-6)


@given(small)
def test_measures_keep_their_bounds(logits: np.ndarray) -> None:
    labels = np.arange(logits.shape[1]) % logits.shape[2]
    measured = diversity(logits, labels, bootstrap=20)
    assert measured.accuracy_mean is not None
    assert 0 <= measured.accuracy_mean <= 100
    assert measured.disagreement is not None
    assert 0 <= measured.disagreement <= 100
    assert measured.accuracy_sd is not None
    assert 0 <= measured.accuracy_sd <= 50
    # Cross-entropy is convex in the logits: that of their mean, rounded to 32 bits, is never worse than the mean one.
    assert measured.ensemble_cross_entropy_delta is not None
    assert measured.ensemble_cross_entropy_delta <= 1e-7 * max(1.0, float(np.abs(logits).max()))
    if measured.correlation is not None:
        assert -1 <= measured.correlation <= 1
    assert all(
        value is None or np.isfinite(value).all() for value in (measured.disagreement_ci, measured.correlation_ci)
    )


@given(small)
def test_small_arrays_equal_their_definitions(logits: np.ndarray) -> None:
    labels = np.arange(logits.shape[1]) % logits.shape[2]
    measured = values(diversity(logits, labels, bootstrap=0))
    with np.errstate(all="ignore"):
        expected = {name: value for name, value in quiet_oracle(logits, labels).items() if name in measured}
    assert measured == pytest.approx(expected, abs=1e-6)


def quiet_oracle(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The oracle without scipy's warnings about constant input, which hypothesis finds at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: value for name, value in oracle(logits, labels).items() if not math.isnan(value)}


def test_sums_of_many_replicas_are_kept_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of replicas: room for one matrix per example would be tens of gigabytes. No bit depends on it."""
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(7, 50, 4)).astype(np.float32), rng.integers(4, size=50)
    monkeypatch.setattr(ensembles, "BLOCK_VALUES", 1)
    whole = ensembles.ensemble_cross_entropies(Logits.of_array(logits), labels)
    made: list[int] = []
    monkeypatch.setattr(ensembles, "KEPT_VALUES", 0)
    original = ensembles.each_in_parallel
    monkeypatch.setattr(
        ensembles, "each_in_parallel", lambda work, pieces: (made.append(len(pieces)), original(work, pieces))
    )
    assert np.array_equal(ensembles.ensemble_cross_entropies(Logits.of_array(logits), labels), whole)
    assert made == [ensembles.LEAST_AT_ONCE] * 25
