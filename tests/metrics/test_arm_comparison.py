"""Two arms of studies, as a process compares them: against `compare_replicas` and the definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import StudyError
from engine.metrics import compare_replicas
from engine.metrics.arm_comparison import compare_arms, measure_disputes
from engine.study.comparison_record import ArmsCompared
from engine.study.paths import StudyPaths
from engine.study.records import decode_record, encode_record
from tests.helpers.arrays_study import put, write_compared_study

RNG = np.random.default_rng(8)
LABELS = RNG.integers(4, size=80)
LOGITS = (RNG.normal(size=(4, 5, 80, 4)) + 1.5 * np.eye(4)[LABELS]).astype(np.float32)


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return write_compared_study(tmp_path / "compared", LOGITS, LABELS)


@pytest.mark.parametrize("measure", ["accuracy", "cross-entropy"])
def test_arms_compare_as_their_arrays_do(paths: StudyPaths, measure: str) -> None:
    found = compare_arms((paths, "Baseline"), (paths, "New"), measure, 0.5)
    expected = compare_replicas(LOGITS[0], LOGITS[1], LABELS, paired=True, margin=0.5, measure=measure)  # pyright: ignore[reportArgumentType]
    assert found.comparison == expected
    assert (found.left_out, found.shared) == ((0, 0), 0)
    assert decode_record(encode_record(found, compact=True), ArmsCompared) == found


def test_arms_of_other_sources_are_not_paired(paths: StudyPaths) -> None:
    found = compare_arms((paths, "Baseline"), (paths, "Init alone"), None, None)
    alone = np.concatenate([LOGITS[0, :1], LOGITS[2, 1:]])
    assert found.comparison == compare_replicas(LOGITS[0], alone, LABELS, paired=False, margin=None)
    assert found.shared == 1, "the first replica of both has the base seeds"


def test_replica_without_its_partner_is_left_out(paths: StudyPaths) -> None:
    run = sorted(path.parent for path in paths.folder.glob("runs/*/result.json"))
    first = next(r for r in run if np.array_equal(np.load(r / "predictions.npy"), LOGITS[0, 1]))
    (first / "result.json").unlink()
    found = compare_arms((paths, "Baseline"), (paths, "New"), None, None)
    kept = [0, 2, 3, 4]
    assert found.comparison == compare_replicas(LOGITS[0, kept], LOGITS[1, kept], LABELS, paired=True, margin=None)
    assert found.left_out == (1, 1)


def test_replicas_of_an_arm_in_which_nothing_varies_are_one(paths: StudyPaths) -> None:
    found = compare_arms((paths, "Control"), (paths, "Baseline"), None, None)
    assert found.comparison.n == (1, 5)
    assert found.comparison.verdict == "undecided"
    assert found.left_out == (1, 0)


def test_other_test_examples_are_refused(paths: StudyPaths, tmp_path: Path) -> None:
    other = write_compared_study(tmp_path / "other", LOGITS, (LABELS + 1) % 4)
    with pytest.raises(StudyError, match=r"compared:Baseline and compared:Baseline: were tested on other examples"):
        compare_arms((paths, "Baseline"), (other, "Baseline"), None, None)


def test_what_cannot_be_compared_says_why(paths: StudyPaths) -> None:
    with pytest.raises(StudyError, match="no arm Unknown"):
        compare_arms((paths, "Baseline"), (paths, "Unknown"), None, None)
    with pytest.raises(StudyError, match="--measure f1: these networks are compared in one of accuracy"):
        compare_arms((paths, "Baseline"), (paths, "New"), "f1", None)
    for result in paths.folder.glob("runs/*/result.json"):
        result.unlink()
    with pytest.raises(StudyError, match="compared:Baseline: has no finished replica"):
        compare_arms((paths, "Baseline"), (paths, "New"), None, None)


def test_masked_true_class_leaves_accuracy_alone(paths: StudyPaths) -> None:
    run = next(iter(paths.folder.glob("runs/*"))).name
    masked = np.load(paths.run(run).predictions)
    masked[0, LABELS[0]] = -np.inf
    put(paths, run, masked)
    assert compare_arms((paths, "Baseline"), (paths, "New"), "accuracy", None).comparison.examples == 80
    sides = [(paths, name) for name in ("Baseline", "New", "Init alone", "Control")]
    refused = 0
    for side in sides:
        try:
            compare_arms(side, (paths, "Baseline"), "cross-entropy", None)
        except StudyError as error:
            assert "compare the accuracy" in str(error)  # noqa: PT017 - which arm holds the run is the plan's affair
            refused += 1
    assert refused >= 1


def test_disputes_between_arms_are_those_of_their_definition() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.integers(3, size=(4, 50)), rng.integers(3, size=(5, 50))
    found = measure_disputes(one, other, 3, paired=False)
    assert found is not None
    assert found.between == pytest.approx(100 * np.mean([np.mean(a != b) for a in one for b in other]))
    pairs = [100 * np.mean(one[i] != one[j]) for i in range(4) for j in range(i)]
    assert found.within[0] == pytest.approx(np.mean(pairs))
    assert found.excess == pytest.approx(found.between - sum(found.within) / 2)
    assert found.excess_ci is not None
    assert found.excess_ci[0] < found.excess < found.excess_ci[1]
    partners = measure_disputes(one, other[:4], 3, paired=True)
    assert partners is not None
    across = [100 * np.mean(one[i] != other[j]) for i in range(4) for j in range(4) if i != j]
    assert partners.between == pytest.approx(np.mean(across))
    assert measure_disputes(one[:1], other, 3, paired=False) is None
    few = measure_disputes(one[:2], other, 3, paired=False)
    assert few is not None
    assert few.excess_ci is None


def test_arm_differs_from_another_kind_more_than_from_itself() -> None:
    rng = np.random.default_rng(4)
    base = rng.integers(3, size=400)
    kinds = [np.where(rng.random(400) < 0.3, rng.integers(3, size=400), base) for _ in range(2)]
    arms = [np.where(rng.random((8, 400)) < 0.1, rng.integers(3, size=(8, 400)), kind) for kind in kinds]
    apart = measure_disputes(arms[0], arms[1], 3, paired=False)
    alike = measure_disputes(arms[0][:4], arms[0][4:], 3, paired=False)
    assert apart is not None
    assert apart.excess_ci is not None
    assert apart.excess_ci[0] > 5.0
    assert alike is not None
    assert alike.excess_ci is not None
    assert alike.excess_ci[0] < 0 < alike.excess_ci[1]
