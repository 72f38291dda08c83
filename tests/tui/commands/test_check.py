"""What `check` says of a plan that works, and that its author may not have meant."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from engine.protocol.load import parse_protocol
from tests.tui.commands.test_cards import FACTS
from tui.commands.check import (
    count_runs,
    describe_comparing,
    describe_facts,
    note_batches,
    note_compiling,
    note_single_replicas,
)


def say(batch_size: int, examples: int, shape: tuple[int, ...] = (8, 8)) -> list[str]:
    plan: Any = SimpleNamespace(recipes={"a": SimpleNamespace(train=SimpleNamespace(batch_size=batch_size))})
    fact: Any = SimpleNamespace(model="resnet6", runs=("a",), train_examples=examples, input_shape=shape)
    return note_batches(plan, [fact, fact])


def test_minibatch_larger_than_the_training_set_is_said_once() -> None:
    [note] = say(5000, 1000)
    assert "resnet6: train.batch_size = 5,000 is more than the 1,000 training examples" in note


@pytest.mark.parametrize(("batch_size", "shape"), [(1000, (8, 8)), (50, (8, 8)), (5000, ())])
def test_minibatch_that_fits_or_is_of_words_is_not(batch_size: int, shape: tuple[int, ...]) -> None:
    assert say(batch_size, 1000, shape) == []


@pytest.mark.parametrize(("seconds", "said"), [(None, False), (41.7, True)])
def test_what_compiling_takes_is_said(seconds: float | None, said: bool) -> None:
    fact: Any = SimpleNamespace(model="resnet6", seconds_compile=seconds)
    assert bool(note_compiling([fact])) is said
    assert all("resnet6: torch.compile took 42 s" in note for note in note_compiling([fact]))


def test_comparison_that_ends_early_is_said_with_its_most(protocol_text: str) -> None:
    text = protocol_text + '[[arm]]\nname = "Shuffle"\nvary = ["shuffle"]\n'
    assert describe_comparing(parse_protocol(text, file="p.toml")) == []
    deciding = parse_protocol(text, file="p.toml", overrides=("compare.until=decided", "compare.margin=0.5"))
    [line] = describe_comparing(deciding)
    assert (
        "until Init and Shuffle are told apart in accuracy or found equal within 0.5; what follows is the most" in line
    )


def test_workloads_that_read_alike_name_their_arms() -> None:
    long = replace(FACTS, arms=("A", "B", "C\x1b[2J", "D", "E"))
    other = replace(FACTS, model="resnet6")
    heads = [line.partition(":")[0] for line in describe_facts([FACTS, long, other])]
    assert heads == [
        "linear on synthetic (init)", r"linear on synthetic (A, B, C\x1b[2J and 2 more)", "resnet6 on synthetic",
    ]  # fmt: skip


def plan_of(**replicas: int) -> Any:
    arms = [SimpleNamespace(name=name, runs=[f"{name}{r}" for r in range(count)]) for name, count in replicas.items()]
    return SimpleNamespace(arms=arms, recipes=dict.fromkeys(run for arm in arms for run in arm.runs), shared={})


def test_arm_of_one_replica_is_told_to_measure_nothing() -> None:
    assert note_single_replicas(plan_of(init=2, shuffle=3)) == []
    [note] = note_single_replicas(plan_of(init=1, shuffle=3))
    assert note.startswith("init: has one replica, and a spread or a disagreement takes two")
    [note] = note_single_replicas(plan_of(a=1, b=1, c=1, d=1, e=1))
    assert note.startswith("a, b, c and 2 more: have one replica each")


def test_one_run_is_not_told_as_several() -> None:
    assert count_runs(plan_of(init=1), set()) == ["1 run: 1 to train, 0 already done"]
    assert count_runs(plan_of(init=2), {"init0"}) == ["2 runs: 1 to train, 1 already done"]
