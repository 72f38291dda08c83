"""What replicas disagree about, against the definitions written out example by example."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special, stats

from engine.metrics import diversity
from engine.metrics.disputes import describe_disputes, find_class_accuracies
from engine.metrics.intervals import mean_over_pairs
from engine.metrics.logits import Logits
from engine.metrics.outputs import ImageOutputs
from engine.metrics.spread import count_joint_freedom


def draw(replicas: int, examples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([replicas, examples, classes])
    labels = rng.integers(classes, size=examples)
    common = 2.0 * np.eye(classes)[labels] + rng.normal(size=(examples, classes))
    return (common + rng.normal(size=(replicas, examples, classes))).astype(np.float32), labels


def oracle(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Every measure by its definition."""
    replicas, examples, classes = logits.shape
    chosen = logits.argmax(axis=2)
    pairs = list(itertools.combinations(range(replicas), 2))
    right = chosen == labels
    one_right = [np.mean([right[i, k] != right[j, k] for k in range(examples)]) for i, j in pairs]
    both_wrong = [
        np.mean([chosen[i, k] != chosen[j, k] and not right[i, k] and not right[j, k] for k in range(examples)])
        for i, j in pairs
    ]
    of_class = np.array([[right[r, labels == k].mean() for k in sorted(set(labels))] for r in range(replicas)])
    votes = [Counter(chosen[:, k].tolist()) for k in range(examples)]
    surplus: Counter[int] = Counter()
    for k, counted in enumerate(votes):
        for label in range(classes):
            surplus[counted[label]] += (label == labels[k]) - counted[label] / replicas
    return {
        "disagreement_right": 100 * float(np.mean(one_right)),
        "disagreement_wrong": 100 * float(np.mean(both_wrong)),
        "disputed": 100 * float(np.mean([len(counted) > 1 for counted in votes])),
        "class_sd": 100 * float(np.sqrt(np.mean(np.var(of_class, axis=0, ddof=1)))),
        "worst_class": 100 * float(of_class.mean(axis=0).min()),
        "calibration_error": float(np.mean([expected_error(one, labels) for one in logits])),
        "vote_calibration_error": 100 * sum(map(abs, surplus.values())) / examples,
        "error_gap": 100 * float(np.mean(one_right) + np.mean(both_wrong) - (1 - right.mean())),
    }


def expected_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Guo et al. (2017): 15 bins (b/15, (b+1)/15] of the largest probability."""
    probabilities = special.softmax(logits.astype(np.float64), axis=1)
    total = 0.0
    for b in range(15):
        inside = [k for k, row in enumerate(probabilities) if b / 15 < row.max() <= (b + 1) / 15]
        if inside:
            accuracy = np.mean([probabilities[k].argmax() == labels[k] for k in inside])
            total += len(inside) * abs(accuracy - np.mean([probabilities[k].max() for k in inside]))
    return 100 * float(total) / len(labels)


@pytest.mark.parametrize("shape", [(2, 50, 3), (5, 120, 10), (7, 40, 2), (4, 90, 70)])
def test_measures_equal_their_definitions(shape: tuple[int, int, int]) -> None:
    logits, labels = draw(*shape)
    measured = diversity(logits, labels, bootstrap=0)
    for name, expected in oracle(logits, labels).items():
        assert getattr(measured, name) == pytest.approx(expected, abs=1e-9), name
    assert measured.disagreement_right + measured.disagreement_wrong == pytest.approx(measured.disagreement)


def test_equal_replicas_have_no_spread_within_any_class() -> None:
    """Accuracies such as 100 · 33/38 have a mean over three that is rounded to another number."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 38)
    logits = np.eye(10)[np.where(rng.random(380) < 0.9, labels, (labels + 1) % 10)]
    found = describe_disputes(ImageOutputs(Logits.of_array(np.stack([logits] * 3)), labels))
    assert found is not None
    assert [one.sd for one in (*found.worst, *found.unsteady)] == [0.0] * 10
    assert {one.accuracy for one in found.worst} <= {100 * right / 38 for right in range(39)}


def test_interval_within_classes_is_that_of_a_variance() -> None:
    logits, labels = draw(6, 200, 4)
    _, accuracies = find_class_accuracies(ImageOutputs(Logits.of_array(logits), labels))
    halves = np.array([[np.mean((one - other) ** 2) / 2 for one in accuracies] for other in accuracies])
    measured = diversity(logits, labels, bootstrap=0)
    assert measured.class_sd == pytest.approx(np.sqrt(mean_over_pairs(halves)))
    freedom = count_joint_freedom(accuracies)
    ends = measured.class_sd**2 * freedom / stats.chi2.ppf([0.975, 0.025], freedom)
    assert measured.class_sd_ci == pytest.approx(np.sqrt(ends))


@pytest.mark.slow
@given(hnp.arrays(np.int64, st.tuples(st.integers(2, 6), st.integers(1, 12)), elements=st.integers(0, 3)))
def test_calibration_of_votes_bounds_what_they_say_of_the_error(predictions: np.ndarray) -> None:
    """Jiang et al. (2022): |disagreement of two votes drawn with repetition − error| is no larger."""
    replicas, examples = predictions.shape
    labels = np.arange(examples) % 4
    measured = diversity(np.eye(4)[predictions], labels, bootstrap=0)
    drawn = measured.disagreement * (replicas - 1) / replicas
    assert abs(drawn - (100 - measured.accuracy_mean)) <= measured.vote_calibration_error + 1e-9


@pytest.mark.slow
def test_calibrated_votes_disagree_as_often_as_they_err() -> None:
    rng = np.random.default_rng(3)
    chance = rng.dirichlet([0.3, 0.3, 0.3], size=6000)
    draws = (rng.random((41, 6000, 1)) > chance.cumsum(axis=1)).sum(axis=2)
    fair = diversity(np.eye(3)[draws[1:]], draws[0], bootstrap=0)
    assert fair.error_gap == pytest.approx(0.0, abs=1.5)
    assert fair.vote_calibration_error < 5
    always_first = diversity(np.eye(3)[draws[1:]], np.zeros(6000, dtype=int), bootstrap=0)
    assert always_first.vote_calibration_error > 20


def test_equal_replicas_dispute_nothing() -> None:
    logits, labels = draw(1, 60, 5)
    measured = diversity(np.repeat(logits, 4, axis=0), labels, bootstrap=0)
    assert (measured.disagreement_right, measured.disagreement_wrong, measured.disputed) == (0.0, 0.0, 0.0)
    assert (measured.class_sd, measured.class_sd_ci) == (0.0, (0.0, 0.0))
    assert measured.error_gap == measured.accuracy_mean - 100


def test_one_replica_is_calibrated_or_not_and_disputes_nothing() -> None:
    logits, labels = draw(1, 60, 5)
    measured = diversity(logits, labels)
    assert measured.calibration_error == pytest.approx(expected_error(logits[0], labels))
    assert measured.disputed is measured.class_sd is None
    assert "at least two" in measured.reasons["disputed"]
    assert describe_disputes(ImageOutputs(Logits.of_array(logits), labels)) is None


def test_two_replicas_say_why_there_is_no_interval() -> None:
    measured = diversity(*draw(2, 60, 5))
    assert measured.class_sd is not None
    assert "three" in measured.reasons["class_sd_ci"]


def test_classes_and_examples_by_hand() -> None:
    """Class 0 is always right, class 1 at times, class 3 never; there is no example of class 2."""
    labels = np.array([0, 1, 1, 3, 0])
    predictions = np.array([[0, 1, 1, 0, 0], [0, 1, 0, 2, 0], [0, 1, 0, 2, 0], [0, 1, 2, 2, 0]])
    found = describe_disputes(ImageOutputs(Logits.of_array(np.eye(4)[predictions]), labels))
    assert found is not None
    assert found.classes == 3
    assert [(one.label, one.examples, one.accuracy) for one in found.worst] == [
        (3, 1, 0.0),
        (1, 2, 62.5),
        (0, 2, 100.0),
    ]
    assert found.unsteady[0].label == 1
    assert found.unsteady[0].sd == pytest.approx(25.0)
    assert [(one.index, one.label, one.shares) for one in found.examples] == [
        (2, 1, ((0, 0.5), (1, 0.25), (2, 0.25))),
        (3, 3, ((2, 0.75), (0, 0.25))),
    ]
