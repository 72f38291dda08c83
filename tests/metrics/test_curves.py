"""Spread by epoch against numpy's own figures; the first epochs of a moved bit; CKA's means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.metrics.conditioning import find_condition_numbers
from engine.metrics.curves import measure_curves, spread_by_epoch
from engine.metrics.intervals import jackknife_interval
from engine.metrics.layers import summarise_cka
from engine.recipe import BitChange, DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.study.epochs import EpochRecord, append_epoch
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from tests.helpers.records import make_arm, make_plan, write_result, write_similarity, write_spec

RECIPE = Recipe(
    data=DataRecipe(preset="digits"),
    model=ModelRecipe(preset="linear"),
    train=TrainRecipe(epochs=4, batch_size=10),
    seeds=Seeds(init=1, shuffle=1),
    lowlevel="deterministic",
    device="cpu",
)


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
    write_result(run, test_accuracy=accuracies[-1], test_cross_entropy=accuracies[-1] / 100, **result)
    return recipe.id


def test_spread_of_each_epoch_is_numpys() -> None:
    figures = np.random.default_rng(0).normal(90, 1, (7, 3))
    runs = [tuple(record(e + 1, row[e]) for e in range(3)) for row in figures]
    found = spread_by_epoch([*runs, (record(1, float("nan")),)])
    assert found["epochs"] == [1, 2, 3]
    accuracy = found["test_accuracy"]
    assert accuracy["n"] == [7, 7, 7], "what is not finite is not counted"
    assert accuracy["mean"] == pytest.approx(figures.mean(0))
    assert accuracy["sd"] == pytest.approx(figures.std(0))
    assert accuracy["low"] == pytest.approx(np.percentile(figures, 2.5, axis=0))
    assert accuracy["high"] == pytest.approx(np.percentile(figures, 97.5, axis=0))
    assert (accuracy["min"], accuracy["max"]) == (figures.min(0).tolist(), figures.max(0).tolist())
    assert "test_perplexity" not in found
    assert spread_by_epoch([]) == {"epochs": []}


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
            bit={"change": 0.5, "old": 1},
        )
        for i in (1, 2)
    ]
    arm = make_arm("Bit", ["bit"], bits)
    plan = make_plan("s", [make_arm("I", ["init"], [other]), arm, make_arm("Control", [], [control])])
    content = measure_curves(paths, plan, None)
    first = content["arms"][1]["first_epochs"]
    assert first == [
        {"epoch": 1, "unmoved": 25.0, "moved": [25.5, 25.5]},
        {"epoch": 2, "unmoved": 31.0, "moved": [34.0, 35.0]},
        {"epoch": 3, "unmoved": 30.0, "moved": [41.0, 41.0]},
    ]
    assert content["arms"][0]["first_epochs"] is None
    assert measure_curves(paths, plan, content) == content
    finished = {run: {"test_accuracy": 90.0} for run in (control, other)}
    finished |= {run: {"test_accuracy": 91.0, "bit": {"change": 0.5, "old": 1.0}} for run in bits}
    numbers = find_condition_numbers(paths, arm, finished)
    assert numbers is not None
    assert numbers["accuracy"] == pytest.approx(2.0)
    assert find_condition_numbers(paths, arm, {run: finished[run] for run in bits}) is None, "no unperturbed run"
    assert find_condition_numbers(paths, plan["arms"][0], finished) is None


def test_similarity_has_the_jackknifes_interval(paths: StudyPaths) -> None:
    matrix = np.array([[1.0, 0.9, 0.8], [0.9, 1.0, 0.7], [0.8, 0.7, 1.0]])
    layers = [{"name": "Conv1", "cka": matrix.tolist()}, {"name": "Logits", "cka": [[1.0]]}, {"name": "x", "cka": []}]
    assert summarise_cka(paths, "Init") is None
    write_similarity(paths, "Init", layers)
    found = summarise_cka(paths, "Init")
    assert found is not None
    assert found[0]["cka"] == pytest.approx(0.8)
    assert found[0]["cka_ci"] == pytest.approx(jackknife_interval(matrix))
    assert (found[1]["n"], found[1]["cka"], found[2]["cka_ci"]) == (1, None, None)
    assert summarise_cka(paths, "Other") is None
