"""Spread by epoch against numpy's own figures; the first epochs of a moved bit; CKA's means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.metrics.conditioning import find_condition_numbers
from engine.metrics.curves import measure_curves, spread_by_epoch
from engine.metrics.intervals import pairs_interval
from engine.metrics.layers import summarise_cka
from engine.recipe import BitChange, DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.study.curves_record import FirstEpoch, find_curves
from engine.study.epochs import EpochRecord, append_epoch
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.run_records import write_spec
from engine.study.similarity_record import ArmSimilarity, LayerPairs, StudySimilarity, find_similarity
from tests.helpers.records import make_arm, make_bit, make_result, make_study

RECIPE = Recipe(
    data=DataRecipe(preset="digits"),
    model=ModelRecipe(preset="linear"),
    train=TrainRecipe(epochs=4, batch_size=10),
    seeds=Seeds(init=1, shuffle=1),
    lowlevel="deterministic",
    device="cpu",
)


MOVED = make_bit(change=0.5, old=1.0)


def record(epoch: int, accuracy: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch, train_loss=1.0, test_accuracy=accuracy, test_cross_entropy=accuracy / 100, lr=0.1, seconds=1.0
    )


def put(paths: StudyPaths, recipe: Recipe, accuracies: list[float], **result: object) -> str:
    run = paths.run(recipe.id)
    make_folder(run.attempt(1).folder)
    write_spec(run, recipe)
    for epoch, accuracy in enumerate(accuracies, start=1):
        append_epoch(run.attempt(1).epochs, record(epoch, accuracy))
    figures = {"test_accuracy": accuracies[-1], "test_cross_entropy": accuracies[-1] / 100}
    write_record(run.result, make_result(run=recipe.id, **figures, **result))
    return recipe.id


def test_spread_of_each_epoch_is_numpys() -> None:
    figures = np.random.default_rng(0).normal(90, 1, (7, 3))
    runs = [tuple(record(e + 1, row[e]) for e in range(3)) for row in figures]
    named = {str(number): run for number, run in enumerate([*runs, (record(1, float("nan")),)])}
    found = spread_by_epoch("a", named)
    assert (found.runs, found.epochs) == (tuple(named), (1, 2, 3))
    accuracy = found.test_accuracy
    assert accuracy is not None
    assert accuracy.n == (7, 7, 7), "what is not finite is not counted"
    assert accuracy.mean == pytest.approx(figures.mean(0))
    assert accuracy.sd == pytest.approx(figures.std(0))
    assert accuracy.low == pytest.approx(np.percentile(figures, 2.5, axis=0))
    assert accuracy.high == pytest.approx(np.percentile(figures, 97.5, axis=0))
    assert (accuracy.min, accuracy.max) == (tuple(figures.min(0)), tuple(figures.max(0)))
    assert found.test_perplexity is None
    assert spread_by_epoch("a", {}).epochs == ()


def test_replica_that_diverges_counts_up_to_the_epoch_before() -> None:
    """The network that is left answers still, finitely, and as a guess; the table leaves it out, so does the curve."""
    figures = [[80.0, 90.0, 91.0], [81.0, 92.0, 93.0], [82.0, 10.0]]
    runs = {str(n): tuple(record(e, value) for e, value in enumerate(row, start=1)) for n, row in enumerate(figures)}
    found = spread_by_epoch("a", runs, diverged={"2": 2})
    assert found.diverged == (2,)
    for spread in (found.test_accuracy, found.test_cross_entropy):
        assert spread is not None
        assert spread.n == (3, 2, 2)
    assert found.test_accuracy is not None
    assert found.test_accuracy.sd == pytest.approx((np.std([80, 81, 82]), 1.0, 1.0))


def test_curves_from_before_are_made_anew_where_a_replica_diverged(paths: StudyPaths) -> None:
    run = put(paths, RECIPE, [80.0, 10.0], diverged=True, diverged_epoch=2)
    plan = make_study([make_arm("Wild", [run])])
    now = measure_curves(paths, plan, None)
    assert now.arms[0].diverged == (2,)
    before = msgspec.structs.replace(now.arms[0], diverged=())
    assert measure_curves(paths, plan, msgspec.structs.replace(now, arms=(before,))) == now


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return StudyPaths(tmp_path / "study")


def test_moved_bit_is_compared_with_the_run_that_differs_in_nothing_else(paths: StudyPaths) -> None:
    control = put(paths, replace(RECIPE, repeat=1), [25.0, 31.0, 30.0, 90.0])
    other = put(paths, replace(RECIPE, seeds=Seeds(init=2, shuffle=1)), [1.0, 1.0, 1.0, 1.0])
    bits = [
        put(
            paths,
            replace(RECIPE, bit=BitChange(seed=i)),
            [25.5, 33.0 + i, 41.0, 90.0 + i],
            bit=MOVED,
        )
        for i in (1, 2)
    ]
    init, arm = make_arm("I", [other], vary=("init",)), make_arm("Bit", bits, vary=("bit",))
    plan = make_study([init, arm, make_arm("Control", [control])])
    content = measure_curves(paths, plan, None)
    assert content.arms[1].first_epochs == (
        FirstEpoch(epoch=1, unmoved=25.0, moved=(25.5, 25.5)),
        FirstEpoch(epoch=2, unmoved=31.0, moved=(34.0, 35.0)),
        FirstEpoch(epoch=3, unmoved=30.0, moved=(41.0, 41.0)),
    )
    assert content.arms[0].first_epochs is None
    late = make_study([init, make_arm("Bit", bits, vary=("bit",), onset=2), make_arm("Control", [control])])
    assert measure_curves(paths, late, None).arms[1].first_epochs is None, "in these epochs no bit was moved"
    assert measure_curves(paths, plan, content) == content
    write_record(paths.curves, content)
    assert find_curves(paths.curves) == content.arms
    finished = {run: make_result(test_accuracy=90.0) for run in (control, other)}
    finished |= {run: make_result(test_accuracy=91.0, bit=MOVED) for run in bits}
    numbers = find_condition_numbers(paths, arm, finished)
    assert numbers is not None
    assert numbers.accuracy == pytest.approx(2.0)
    assert find_condition_numbers(paths, arm, {run: finished[run] for run in bits}) is None, "no unperturbed run"
    assert find_condition_numbers(paths, init, finished) is None


def test_similarity_has_the_jackknifes_interval(paths: StudyPaths) -> None:
    matrix = np.array([[1.0, 0.9, 0.8], [0.9, 1.0, 0.7], [0.8, 0.7, 1.0]])
    pairs = {"Conv1": tuple(map(tuple, matrix.tolist())), "Logits": ((1.0,),), "x": ()}
    layers = tuple(LayerPairs(name=name, runs=("a", "b", "c")[: len(cka)], cka=cka) for name, cka in pairs.items())
    assert find_similarity(paths.cka) == ()
    make_folder(paths.folder)
    arm = ArmSimilarity(name="Init", runs=(), wanted=9, examples=9, layers=layers)
    write_record(paths.cka, StudySimilarity(arms=(arm,)))
    compared = find_similarity(paths.cka)
    assert compared == (arm,)
    found = summarise_cka(compared, "Init")
    assert found is not None
    assert found[0].cka == pytest.approx(0.8)
    assert found[0].cka_debiased is None, "an earlier version compared them"
    assert found[0].cka_ci == pytest.approx(pairs_interval(matrix, (0.0, 1.0)))
    assert (found[1].n, found[1].cka, found[2].cka_ci) == (1, None, None)
    assert summarise_cka(compared, "Other") is None
