"""Two arms of studies, as a process compares them: against `compare_replicas` and the definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from engine.errors import StudyError
from engine.metrics import compare_replicas
from engine.metrics.arm_comparison import compare_arms, plan_arms
from engine.metrics.arm_disputes import measure_disputes
from engine.metrics.comparison import Scores, compare_scores
from engine.study.comparison_record import ArmsCompared
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import decode_record, encode_record, write_record
from engine.study.study_plan import read_plan
from tests.helpers.arrays_study import put, write_compared_study
from tests.helpers.records import make_result

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


def test_replicas_that_diverged_are_counted_by_themselves(paths: StudyPaths) -> None:
    plan = read_plan(paths)
    for run in plan.arms[1].runs[2:4]:
        put(paths, run, np.full_like(LOGITS[1, 0], np.nan), diverged=True, diverged_epoch=1)
    found = compare_arms((paths, "Baseline"), (paths, "New"), None, None)
    assert (found.comparison.n, found.left_out, found.diverged) == ((3, 3), (2, 2), (0, 2))


def test_replicas_of_an_arm_in_which_nothing_varies_are_one(paths: StudyPaths) -> None:
    found = compare_arms((paths, "Control"), (paths, "Baseline"), None, None)
    assert found.comparison.n == (1, 5)
    assert found.comparison.verdict == "undecided"
    assert found.left_out == (1, 0)


def test_every_measure_is_compared_where_it_is_asked_for(paths: StudyPaths) -> None:
    found = compare_arms((paths, "Baseline"), (paths, "New"), None, 0.5, every=True)
    [other] = found.others
    alone = compare_arms((paths, "Baseline"), (paths, "New"), "cross-entropy", None)
    assert (found.comparison.measure, other) == ("accuracy", alone.comparison), "a margin has the unit of one measure"
    assert compare_arms((paths, "Baseline"), (paths, "New"), "accuracy", 0.5).others == ()
    first = compare_arms((paths, "Baseline"), (paths, "New"), "cross-entropy", None, every=True)
    assert [first.comparison.measure, *(one.measure for one in first.others)] == ["cross-entropy", "accuracy"]


def rename_kind(paths: StudyPaths, kind: str) -> None:
    write_record(paths.plan, structs.replace(read_plan(paths), kind=kind))


def test_classes_alone_are_compared_in_accuracy(paths: StudyPaths) -> None:
    logits = compare_arms((paths, "Baseline"), (paths, "New"), None, None)
    for run in read_plan(paths).order:
        if paths.run(run).predictions.exists():
            put(paths, run, np.load(paths.run(run).predictions).argmax(axis=1).astype(np.int32))
    rename_kind(paths, "classes")
    found = compare_arms((paths, "Baseline"), (paths, "New"), None, None, every=True)
    assert found == logits, "disagreement included, and nothing is said of cross-entropy"


def test_classes_are_compared_with_logits(paths: StudyPaths, tmp_path: Path) -> None:
    other = write_compared_study(tmp_path / "other", LOGITS[[1, 0, 2, 3]].argmax(axis=-1).astype(np.int32), LABELS)
    rename_kind(other, "classes")
    found = compare_arms((paths, "Baseline"), (other, "Baseline"), None, None)
    assert found.comparison == compare_replicas(LOGITS[0], LOGITS[1], LABELS, paired=True, margin=None)


def test_numbers_by_name_are_compared_without_predictions(paths: StudyPaths) -> None:
    rng = np.random.default_rng(1)
    plan = read_plan(paths)
    values: dict[str, dict[str, float]] = {run: {"f1": rng.normal(), "accuracy": rng.normal()} for run in plan.order}
    for run, scores in values.items():
        record = make_result(run=run, scores=scores)
        make_folder(paths.run(run).folder)
        write_record(paths.run(run).result, record)
        paths.run(run).predictions.write_bytes(b"")
    paths.labels.unlink()
    rename_kind(paths, "scores")
    found = compare_arms((paths, "Baseline"), (paths, "New"), None, 0.1, every=True)
    assert [found.comparison.measure, *(one.measure for one in found.others)] == ["f1", "accuracy"]
    one, other = (np.array([values[run]["f1"] for run in arm.runs]) for arm in plan.arms[:2])
    figures = Scores(np.empty((5, 0)), np.empty((5, 0)), (one, other), larger_is_better=None)
    assert found.comparison == compare_scores(figures, paired=True, margin=0.1, measure="f1")
    assert found.comparison.p_better == np.mean(one[:, None] > other)
    assert (found.comparison.unit, found.others[0].unit, found.comparison.best) == ("", "", None)
    assert found.disputes is None
    with pytest.raises(StudyError, match="--measure f2: these arms are compared in one of f1, accuracy"):
        compare_arms((paths, "Baseline"), (paths, "New"), "f2", None)
    write_record(paths.run(plan.arms[0].runs[1]).result, make_result(run=plan.arms[0].runs[1], scores={"f1": 0.5}))
    assert compare_arms((paths, "Baseline"), (paths, "New"), None, None, every=True).others == (), "not of all replicas"
    write_record(paths.run(plan.arms[1].runs[0]).result, make_result(run=plan.arms[1].runs[0], scores={"auc": 0.5}))
    with pytest.raises(StudyError, match="have no measure in common"):
        compare_arms((paths, "Baseline"), (paths, "New"), None, None)
    diverged = make_result(run=plan.arms[1].runs[0], scores={"f1": 0.5}, diverged=True)
    write_record(paths.run(plan.arms[1].runs[0]).result, diverged)
    found = compare_arms((paths, "Baseline"), (paths, "New"), None, None)
    assert (found.left_out, found.diverged) == ((1, 1), (0, 1))


def test_numbers_beside_predictions_are_compared_too(paths: StudyPaths) -> None:
    for number, run in enumerate(read_plan(paths).order):
        if paths.run(run).predictions.exists():
            put(paths, run, np.load(paths.run(run).predictions), scores={"f1": float(number)})
    found = compare_arms((paths, "Baseline"), (paths, "New"), None, None, every=True)
    assert [one.measure for one in found.others] == ["cross-entropy", "f1"]
    assert found.others[1].examples == 0


def test_number_that_only_some_replicas_left_is_compared_of_these_and_the_others_are_counted(paths: StudyPaths) -> None:
    plan = read_plan(paths)
    without = {plan.arms[0].runs[1], plan.arms[1].runs[1], plan.arms[1].runs[3]}
    for number, run in enumerate(plan.order):
        if paths.run(run).predictions.exists():
            scores = {} if run in without else {"f1": float(number)}
            put(paths, run, np.load(paths.run(run).predictions), scores=scores)
    found = compare_arms((paths, "Baseline"), (paths, "New"), "f1", None)
    assert found.without_number == (1, 2)
    assert found.left_out == (2, 2), "replica 4 of A has no partner any more"
    assert found.comparison.n == (3, 3)
    assert compare_arms((paths, "Baseline"), (paths, "New"), "accuracy", None).without_number == (0, 0)
    with pytest.raises(StudyError, match="--measure f2: these arms are compared in one of"):
        compare_arms((paths, "Baseline"), (paths, "New"), "f2", None)


def test_pilot_of_few_equal_figures_plans_nothing(tmp_path: Path) -> None:
    labels = np.arange(8) % 4
    logits = np.stack([np.stack([np.eye(4, dtype=np.float32)[labels]] * 2)] * 4)
    for replica in range(2):  # each is wrong about another example
        logits[:, replica, replica] = np.eye(4)[(labels[replica] + 1) % 4]
    paths = write_compared_study(tmp_path / "equal", logits, labels)
    with pytest.raises(StudyError, match=r"compared:Init alone: shows no spread in accuracy: .* train 5 or more"):
        plan_arms((paths, "Init alone"), None, None, 0.5, 0.8)
    found = compare_arms((paths, "Baseline"), (paths, "Init alone"), None, 0.5)
    assert found.comparison.ci_test_set is None


def test_other_test_examples_are_refused(paths: StudyPaths, tmp_path: Path) -> None:
    other = write_compared_study(tmp_path / "other", LOGITS, (LABELS + 1) % 4)
    with pytest.raises(StudyError, match=r"compared:Baseline and compared:Baseline: were tested on other examples"):
        compare_arms((paths, "Baseline"), (other, "Baseline"), None, None)


def test_what_cannot_be_compared_says_why(paths: StudyPaths) -> None:
    with pytest.raises(StudyError, match="no arm Unknown"):
        compare_arms((paths, "Baseline"), (paths, "Unknown"), None, None)
    with pytest.raises(StudyError, match="--measure f1: these arms are compared in one of accuracy"):
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
