"""Sizes of packs to try, and which of them ends first."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.plan.records import Packing
from engine.recipe import Recipe
from engine.training.data.datasets import Dataset
from engine.training.trials import pack_sizes
from engine.training.trials.pack_sizes import choose_packing, choose_size, count_rounds, propose_sizes
from engine.training.trials.workbench import Workbench
from engine.tuning.messages import PackQuestion

CPU = torch.device("cpu")


def test_sizes_end_in_whole_rounds() -> None:
    assert propose_sizes(100, 2) == [2, 4, 7, 13, 25, 50]
    assert propose_sizes(100, 1) == [2, 4, 7, 13, 25, 50, 100]
    assert propose_sizes(2, 2) == []
    assert propose_sizes(1, 1) == []


@given(runs=st.integers(1, 3000), size=st.integers(1, 1024), slots=st.integers(1, 9))
def test_rounds_hold_all_runs(runs: int, size: int, slots: int) -> None:
    rounds = count_rounds(runs, size, slots)
    assert rounds * size * slots >= runs
    assert (rounds - 1) * slots < math.ceil(runs / size)


def test_size_that_ends_first_is_chosen_and_small_gains_are_not() -> None:
    assert choose_size([(1, 1.0), (2, 0.6), (4, 0.5)], runs=8, slots=2) == 4
    assert choose_size([(1, 1.0), (2, 0.6), (6, 0.5)], runs=8, slots=2) == 2, "six at once leave a second round"
    assert choose_size([(1, 1.0), (2, 0.95)], runs=8, slots=2) == 1
    assert choose_size([(1, 1.0)], runs=8, slots=2) == 1


@pytest.fixture
def question(base: Recipe) -> PackQuestion:
    recipe = replace(base, model=replace(base.model, preset="hidden-fc", width=1.0))
    return PackQuestion(
        recipe=recipe,
        shared_batch=True,
        sizes=None,
        runs=16,
        slots=1,
        compiled=False,
        memory_format="auto",
        strict=True,
    )


def answer(question: PackQuestion, data: Dataset, alone_s: float = 1.0, parameters: int = 1000) -> Packing:
    return choose_packing(question, Workbench(data, CPU), lambda: alone_s, parameters=parameters)


def test_sizes_are_tried_until_they_get_no_better(
    question: PackQuestion, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {2: 0.5, 4: 0.2, 8: 0.3, 16: 0.25}
    tried: list[int] = []

    def time(recipe: Recipe, bench: Workbench, *, timed_s: float) -> float:
        assert recipe.pack is not None
        tried.append(recipe.pack.size)
        return seconds[recipe.pack.size]

    monkeypatch.setattr(pack_sizes, "time_pack", time)
    found = answer(question, data)
    assert tried == [2, 4, 8, 16], "two in a row that are no better end it"
    assert (found.size, found.reason) == (4, None)
    assert found.trials == ((1, 1.0), (2, 0.5), (4, 0.2), (8, 0.3), (16, 0.25))


def test_size_that_does_not_fit_is_left_out(
    question: PackQuestion, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time(recipe: Recipe, bench: Workbench, *, timed_s: float) -> float:
        assert recipe.pack is not None
        if recipe.pack.size > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1.0 / recipe.pack.size

    monkeypatch.setattr(pack_sizes, "time_pack", time)
    found = answer(question, data)
    assert (found.size, found.too_large) == (4, 8)
    assert answer(question, data, parameters=2**50).size == 1, "memory is looked at beforehand on CPUs"


def test_layout_is_tried_where_there_are_convolutions(
    question: PackQuestion, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time(recipe: Recipe, bench: Workbench, *, timed_s: float) -> float:
        assert recipe.pack is not None
        return (0.5 if recipe.pack.channels_last else 1.0) / recipe.pack.size

    monkeypatch.setattr(pack_sizes, "time_pack", time)
    assert answer(question, data).channels_last is False, "there is nothing to lay out"
    network = replace(question.recipe, model=replace(question.recipe.model, preset="resnet6"))
    convolutional = structs.replace(question, recipe=network, sizes=(2, 4), strict=False)
    assert answer(convolutional, data).channels_last is True
    assert answer(structs.replace(convolutional, memory_format="contiguous"), data).channels_last is False


def test_packs_that_leave_traces_of_slots_are_not_chosen_for_arms_that_show_rounding(
    question: PackQuestion, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_sizes, "time_pack", lambda *_, **__: 0.1)
    report = pack_sizes.check_pack

    def differing(*args: object, **kwargs: object) -> object:
        return replace(report(*args, **kwargs), slot_invariant=False)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(pack_sizes, "check_pack", differing)
    assert answer(question, data).reason == "packs give other bits in other slots on this device"
    assert answer(structs.replace(question, strict=False), data).size > 1
