"""Two runs side by side: the trainings are those of workers, and the step in which they part is the planted one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.recipe import BitChange, ModelRecipe, Onset, PackRecipe, Recipe
from engine.study.epochs import EpochRecord
from engine.training.data.datasets import Dataset
from engine.training.divergence import walker
from engine.training.divergence.distances import measure_outputs, measure_weights
from engine.training.divergence.lockstep import EVERY_STEP, Found, Looks, Pair, trim, walk
from engine.training.divergence.walker import Halt, Walker
from engine.training.evaluation import ImageEvaluation
from engine.training.loop import train_runs
from engine.training.tasks.images import ImageTask
from engine.training.tasks.preparation import prepare

CPU = torch.device("cpu")
FAST = ModelRecipe(preset="hidden-fc")
STEPS = 3
"""Of an epoch of 90 examples in minibatches of 40."""


@pytest.fixture
def fast(base: Recipe) -> Recipe:
    return replace(base, model=FAST)


def walk_pair(one: Recipe, other: Recipe, data: Dataset, **options: Any) -> Found:
    pair = Pair.prepare([one, other], trim(data, 50), device=CPU)
    try:
        return walk(pair, **options)
    finally:
        pair.close()


def record_digests(recipes: list[Recipe], data: Dataset) -> list[list[str | None]]:
    """What workers write of each run: before the first step, and at the end of every epoch."""
    found: list[list[EpochRecord]] = [[] for _ in recipes]
    train_runs(recipes, data, device=CPU, on_epoch=lambda run, record: found[run].append(record))
    return [[records[0].start, *(record.weights for record in records)] for records in found]


def test_walked_runs_are_those_that_workers_train(base: Recipe, data: Dataset) -> None:
    """Also where both judge the test set between two steps, which has to leave batch norms alone."""
    other = replace(base, seeds=replace(base.seeds, shuffle=2))
    found = walk_pair(base, other, data)
    assert [point.disagreement is not None for point in found.points] == [True] * (2 * STEPS)
    alone = [record_digests([recipe], data)[0] for recipe in (base, other)]
    assert found.digests == list(zip(*alone, strict=True))
    assert found.epochs == 2


def test_runs_of_one_pack_are_walked_in_it(fast: Recipe, data: Dataset) -> None:
    packed = replace(fast, pack=PackRecipe(size=3, shared_batch=True))
    recipes = [packed, replace(packed, seeds=replace(packed.seeds, init=2))]
    pair = Pair.prepare(recipes, trim(data, 50), device=CPU)
    assert len(pair.walkers) == 1
    found = walk(pair)
    assert found.digests == list(zip(*record_digests(recipes, data), strict=True))


def test_walker_stands_before_every_step_and_at_every_end(fast: Recipe, data: Dataset) -> None:
    walked = Walker(prepare([fast], data, device=CPU), fast)
    halts = [walked.go() for _ in range(2 * (STEPS + 1) + 1)]
    expected = [Halt(epoch, step) for epoch in (1, 2) for step in (*range(STEPS), None)]
    assert halts == [*expected, None]


def test_each_run_computes_under_its_own_flags(fast: Recipe, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags of kernels are the process's: whoever goes on, or judges test examples, sets them anew."""
    flags: list[str] = []
    used: set[tuple[str, str | None, str]] = set()

    def note(name: str) -> None:
        plain = getattr(ImageTask, name)

        def noted(task: ImageTask, *arguments: Any) -> Any:
            used.add((name, task.recipe.lowlevel, flags[-1]))
            return plain(task, *arguments)

        monkeypatch.setattr(ImageTask, name, noted)

    monkeypatch.setattr(walker, "set_kernels", lambda lowlevel, precision: flags.append(f"{lowlevel} {precision}"))
    note("train_step")
    note("evaluate")
    found = walk_pair(fast, replace(fast, lowlevel="kernels", seeds=replace(fast.seeds, shuffle=2)), data)
    assert found.points[0].disagreement is not None, "both judge between two steps"
    expected = {(name, own, f"{own} fp32") for name in ("train_step", "evaluate") for own in (fast.lowlevel, "kernels")}
    assert used == expected


def test_whatever_ends_a_training_reaches_whoever_walks(fast: Recipe, data: Dataset) -> None:
    task = prepare([fast], data, device=CPU)

    def fail(*_: object) -> list[float]:
        raise ZeroDivisionError

    task.train_epoch = fail  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        Walker(task, fast).go()


def test_equal_runs_do_not_part(fast: Recipe, data: Dataset) -> None:
    found = walk_pair(fast, replace(fast, repeat=1), data)
    assert found.parted is None
    assert found.points == []
    assert all(one == other for one, other in found.digests)


def test_moved_bit_is_named_before_the_first_step(fast: Recipe, data: Dataset) -> None:
    found = walk_pair(fast, replace(fast, bit=BitChange(seed=3)), data)
    assert found.parted is not None
    assert (found.parted.epoch, found.parted.step) == (0, None)
    assert found.weights == ("fc1.weight",)
    assert found.tensors is not None
    assert (found.tensors.ulps, found.tensors.differing) == (1.0, 1)
    first, second = float(found.tensors.first), float(found.tensors.second)
    assert found.points[0].weights == pytest.approx(abs(first - second), rel=0.1)
    assert [point.step for point in found.points] == list(range(2 * STEPS + 1))
    assert [point.epoch for point in found.points] == [None, None, None, 1, None, None, 2]


def test_bit_that_moves_late_is_found_between_two_epochs(fast: Recipe, data: Dataset) -> None:
    onset = Onset(epoch=1, seeds=fast.seeds, lowlevel=fast.lowlevel)
    found = walk_pair(replace(fast, onset=onset), replace(fast, onset=onset, bit=BitChange(seed=3)), data)
    assert found.parted is not None
    assert (found.parted.epoch, found.parted.step) == (2, None)
    assert found.weights == ("fc1.weight",)
    assert [start.epoch for start in found.parted.start] == [1, 1]


def test_step_without_a_rate_parts_runs_too(fast: Recipe, data: Dataset) -> None:
    """A warm-up begins with a rate of 0, which leaves the weights as they are: the optimiser knows more."""
    found = walk_pair(fast, replace(fast, seeds=replace(fast.seeds, shuffle=2)), data, growth_epochs=0)
    assert found.parted is not None
    assert (found.parted.epoch, found.parted.step) == (1, 0)
    assert found.points[0].weights == 0.0
    assert found.points[1].weights
    assert found.epochs == 1


def test_distances_are_those_of_the_definitions() -> None:
    one = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([[4.0]])}
    other = {"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([[2.0]])}
    found = measure_weights(one, other)
    assert found.length == pytest.approx(math.sqrt(1 + 4))
    assert found.relative == pytest.approx(math.sqrt(5) / 5)

    def judged(logits: Tensor) -> ImageEvaluation:
        return ImageEvaluation(logits, 0.0, 0.0)

    apart = measure_outputs(
        judged(torch.tensor([[1.0, 2.0], [3.0, 0.0]])), judged(torch.tensor([[2.0, 1.0], [3.0, 0.0]]))
    )
    assert apart.logits == pytest.approx(math.sqrt(2 / 4))
    assert apart.relative == pytest.approx(math.sqrt(2 / 14))
    assert apart.disagreement == 50.0


def test_later_looks_grow_rare() -> None:
    looks = Looks()
    asked = [looks.ask(step, ended=False) for step in range(20_000)]
    weights, outputs = (sum(one[place] for one in asked) for place in (0, 1))
    assert all(looked for looked, _ in asked[:EVERY_STEP])
    assert weights < EVERY_STEP + 200
    assert outputs < 70
