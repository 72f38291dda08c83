"""decision.json: the plan that it leaves, the trainings that it is about, and the pairs that count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.dispatch.decisions import PairWatch, decide
from engine.study.control import read_control
from engine.study.decision_record import CompareSettings, digest_pairs
from engine.study.files import make_folder
from engine.study.paired import Pairs, count_pairs
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.study_plan import StudyPlan, read_plan, read_whole_plan
from engine.study.view import StudyView
from tests.helpers.records import make_arm, make_attempt, make_exit, make_result, make_study
from tui.text.decisions import describe_comparison, list_levels, make_rounds_curve
from tui.text.format import ASCII

SETTINGS = CompareSettings(a="A", b="B", measure="accuracy", margin=0.5, until_decided=True)
NAMES = {"A": "aa", "B": "bb", "Other": "cc"}


def name_run(arm: str, replica: int) -> str:
    return f"{NAMES[arm]}{replica:06d}"


def make_plan(replicas: int = 8, settings: CompareSettings = SETTINGS, **changes: object) -> StudyPlan:
    arms = [make_arm(name, [name_run(name, r) for r in range(replicas)], vary=("init",)) for name in NAMES]
    return msgspec.structs.replace(make_study(arms, study="until"), compare=settings, **changes)


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    paths = StudyPaths(tmp_path / "until")
    plan = make_plan()
    for run in plan.order:
        make_folder(paths.run(run).attempts)
    make_folder(paths.control)
    write_record(paths.plan, plan)
    return paths


def finish(paths: StudyPaths, arm: str, replica: int, accuracy: float, **changes: object) -> None:
    run = name_run(arm, replica)
    attempt = paths.run(run).attempt(1)
    make_folder(attempt.folder)
    write_record(attempt.attempt, make_attempt())
    paths.run(run).predictions.write_bytes(b"x")
    write_record(paths.run(run).result, make_result(run=run, test_accuracy=accuracy, **changes))


def fail(paths: StudyPaths, arm: str, replica: int) -> None:
    attempt = paths.run(name_run(arm, replica)).attempt(1)
    make_folder(attempt.folder)
    write_record(attempt.attempt, make_attempt())
    write_record(attempt.exit, make_exit(reason="ValueError: no"))


def look(paths: StudyPaths) -> bool:
    view = StudyView(paths, measures=(), deciding=True)
    return PairWatch().look(paths, view, view.refresh())


def count(paths: StudyPaths) -> Pairs:
    return count_pairs(StudyView(paths, measures=()).refresh().arms, SETTINGS)


def test_pairs_count_in_order_of_their_numbers(paths: StudyPaths) -> None:
    for replica in (0, 2, 3):
        finish(paths, "A", replica, 90.0 + replica)
        finish(paths, "B", replica, 89.5)
    assert count(paths) == Pairs((1,), (0.5,), 1, 8)
    finish(paths, "A", 1, 90.0)
    assert count(paths).passed == 1
    finish(paths, "B", 1, 92.0)
    assert count(paths) == Pairs((1, 2, 3, 4), (0.5, -2.0, 2.5, 3.5), 4, 8)


def test_pair_without_a_figure_is_passed_over(paths: StudyPaths) -> None:
    for replica in range(4):
        finish(paths, "A", replica, 90.0, **({"diverged": True, "diverged_epoch": 1} if replica == 1 else {}))
        if replica == 2:
            fail(paths, "B", replica)
        else:
            finish(paths, "B", replica, 88.0)
    assert count(paths).passed == 2, "a failed run that this session may still try is waited for"
    snapshot = StudyView(paths, measures=()).refresh()
    runs = {arm.name: list(arm.runs) for arm in snapshot.arms}
    failed = runs["B"][2]
    runs["B"][2] = replace(failed, state=replace(failed.state, retriable=False))
    arms = [replace(arm, runs=tuple(runs[arm.name])) for arm in snapshot.arms]
    assert count_pairs(arms, SETTINGS) == Pairs((1, 4), (2.0, 2.0), 4, 8)


def test_run_that_both_arms_share_is_no_pair(paths: StudyPaths) -> None:
    plan = make_plan()
    shared = (name_run("A", 0), *plan.arms[1].runs[1:])
    arms = (plan.arms[0], msgspec.structs.replace(plan.arms[1], runs=shared), plan.arms[2])
    write_record(paths.plan, msgspec.structs.replace(plan, arms=arms))
    for replica in range(2):
        finish(paths, "A", replica, 91.0)
        finish(paths, "B", replica, 90.0)
    assert count(paths) == Pairs((2,), (1.0,), 2, 8)


def test_decision_cuts_the_plan_for_every_reader(paths: StudyPaths) -> None:
    for replica in range(6):
        finish(paths, "A", replica, 92.0 + 0.1 * replica)
        finish(paths, "B", replica, 90.0)
    assert look(paths)
    plan, whole = read_plan(paths), read_whole_plan(paths)
    assert [len(arm.runs) for arm in plan.arms] == [5, 5, 8]
    assert [len(arm.runs) for arm in whole.arms] == [8, 8, 8]
    assert set(plan.order) == {run for arm in plan.arms for run in arm.runs} == set(plan.epochs)
    left = {name_run(arm, replica) for arm in "AB" for replica in (6, 7)}
    assert read_control(paths).cancelled_runs == left, "what is trained beyond the end is to end"
    assert not look(paths), "decided once"
    text = "\n".join(describe_comparison(StudyView(paths, measures=()).refresh(), ASCII))
    assert "decided after 5 pairs: A has a higher accuracy than B" in text
    assert "A less B, while looking: +2.20 [+1.60 +2.80] % points, margin +- 0.5" in text


def test_end_does_not_depend_on_what_is_trained_beyond_it(paths: StudyPaths) -> None:
    for replica in range(5):
        finish(paths, "A", replica, 92.0 + 0.1 * replica)
        finish(paths, "B", replica, 90.0)
    assert look(paths)
    alone = paths.decision.read_bytes()
    paths.decision.unlink()
    for replica in range(5, 8):
        finish(paths, "A", replica, 50.0)
        finish(paths, "B", replica, 99.0)
    assert look(paths)
    assert paths.decision.read_bytes() == alone


@pytest.mark.parametrize(
    "settings",
    [
        msgspec.structs.replace(SETTINGS, margin=0.4),
        msgspec.structs.replace(SETTINGS, b="Other"),
        msgspec.structs.replace(SETTINGS, measure="cross-entropy"),
        msgspec.structs.replace(SETTINGS, until_decided=False),
    ],
)
def test_decision_of_another_question_is_passed_over(paths: StudyPaths, settings: CompareSettings) -> None:
    for replica in range(5):
        finish(paths, "A", replica, 92.0 + 0.1 * replica)
        finish(paths, "B", replica, 90.0)
    assert look(paths)
    write_record(paths.plan, make_plan(settings=settings))
    assert [len(arm.runs) for arm in read_plan(paths).arms] == [8, 8, 8]


def test_decision_of_other_trainings_or_a_damaged_one_is_passed_over(paths: StudyPaths) -> None:
    plan = make_plan()
    decision = decide(Pairs((1, 2, 3, 4, 5), (2.0, 2.1, 1.9, 2.0, 2.0), 5, 8), plan, SETTINGS)
    assert decision is not None
    write_record(paths.decision, decision)
    assert len(read_plan(paths).arms[0].runs) == 5
    for changed in (
        msgspec.structs.replace(decision, runs_sha256="0"),
        msgspec.structs.replace(decision, pairs=1),
        msgspec.structs.replace(decision, pairs=900),
    ):
        write_record(paths.decision, changed)
        assert len(read_plan(paths).arms[0].runs) == 8
    paths.decision.write_text("{")
    assert len(read_plan(paths).arms[0].runs) == 8
    assert digest_pairs(plan.arms, SETTINGS, 9) is None


def test_view_follows_a_decision_that_comes_while_it_looks(paths: StudyPaths) -> None:
    view = StudyView(paths, measures=())
    assert len(view.refresh().arms[0].runs) == 8
    for replica in range(5):
        finish(paths, "A", replica, 92.0 + 0.1 * replica)
        finish(paths, "B", replica, 90.0)
    assert look(paths)
    snapshot = view.refresh()
    assert [len(arm.runs) for arm in snapshot.arms] == [5, 5, 8]
    assert snapshot.decision is not None


def test_undecided_says_how_many_pairs_it_may_take(paths: StudyPaths) -> None:
    for replica in range(8):
        finish(paths, "A", replica, 90.0 + (-1) ** replica)
        finish(paths, "B", replica, 90.0)
    assert not look(paths)
    text = "\n".join(describe_comparison(StudyView(paths, measures=()).refresh(), ASCII))
    assert "undecided after all 8 pairs of replicas" in text
    assert "at this scatter about 51 pairs would decide it, more than the 8 that the protocol allows" in text


def test_picture_shows_the_interval_closing_by_pairs(paths: StudyPaths) -> None:
    assert make_rounds_curve(StudyView(paths, measures=()).refresh()) is None
    for replica in range(7):
        finish(paths, "A", replica, 90.0 + (-1) ** replica)
        finish(paths, "B", replica, 90.0)
    snapshot = StudyView(paths, measures=()).refresh()
    curve = make_rounds_curve(snapshot)
    assert curve is not None
    assert curve.middle == pytest.approx((1.0, 0.0, 1 / 3, 0.0, 0.2, 0.0, 1 / 7))
    assert curve.outer[:4] == (None,) * 4, "of four pairs no interval says anything"
    widths = [end[1] - end[0] for end in curve.outer[4:] if end is not None]
    assert len(widths) == 3
    assert widths == sorted(widths, reverse=True)
    assert list_levels(snapshot) == (-0.5, 0.0, 0.5)
