"""Where two runs part, in words, as a table and as a plot: each kind of cause, and what cannot be known."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec import structs

from engine.study.divergence_record import ROUNDING, Batches, Divergence, GrowthPoint, Operation, Rate, Tensors
from tui.html.divergence_page import make_divergence_page
from tui.text.divergence import (
    Told,
    choose_last,
    choose_points,
    describe_divergence,
    find_jump,
    list_rates,
    list_reasons,
    list_repetition,
    make_curves,
    name_pair,
    say_axis,
    say_batches,
    say_place,
)
from tui.text.format import ASCII


def make_points(values: list[float], ends: dict[int, int] | None = None) -> tuple[GrowthPoint, ...]:
    return tuple(
        GrowthPoint(step=step, epoch=(ends or {}).get(step), weights=10 * value, relative=value, logits=value,
                    logits_relative=value, disagreement=100 * value)
        for step, value in enumerate(values)
    )  # fmt: skip


OPERATION = Operation(
    number=40, name="aten::convolution_backward", module="layers.0.conv1", phase="backward", place="output 1"
)
TENSORS = Tensors(elements=144, differing=12, ulps=2.0, absolute=1.25e-8, where=(0, 2, 1, 1), first="0.1", second="0.2")
FOUND = Divergence(
    studies=("quick", "quick"),
    arms=("Control", "Control"),
    replicas=(1, 3),
    runs=("a" * 16, "b" * 16),
    epochs=9,
    epoch=4,
    step=6,
    steps=32,
    recorded=4,
    kind="kernel",
    operation=OPERATION,
    tensors=TENSORS,
    operations=101,
    growth=make_points([1e-8 * 2**step for step in range(20)], {9: 4, 19: 5}),
    test_examples=1000,
    device="a processor",
)


def test_kernel_is_named_with_what_differs() -> None:
    assert name_pair(FOUND) == "Control, replicas 1 and 3"
    assert say_place(FOUND) == "they part in epoch 4, in step 7 of 32"
    assert list_reasons(Told(FOUND)) == [
        "all inputs of aten::convolution_backward, operation 41 of 101 (backward of layers.0.conv1) agree to the bit, "
        "and its output 1 does not",
        "12 numbers of 144 differ, by 2 ulp or 1.25e-08 at most: at [0, 2, 1, 1] 0.1 and 0.2",
        "usually: a kernel adds in another order: threads, atomic additions, or a library that chose another kernel",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "random"}, "draws from generators in different states"),
        ({"kind": "operations"}, "on the two runs do other operations"),
        (
            {"kind": "argument", "operation": structs.replace(OPERATION, arguments=("a=1, lr=0.1", "a=1, lr=0.2"))},
            "is called with other numbers: lr=0.1 and lr=0.2",
        ),
        (
            {"kind": "input", "operation": structs.replace(OPERATION, place="input weight", parameter="conv1.weight")},
            "input weight, which is conv1.weight, of aten::convolution_backward",
        ),
        ({"kind": "memory"}, "reads memory that no operation of torch has written into"),
        ({"kind": "weights", "operation": None, "weights": tuple("abcdef")}, "other numbers in a, b, c, d and 2 more"),
    ],
)
def test_every_kind_of_cause_has_its_sentence(changes: dict[str, Any], said: str) -> None:
    assert said in "\n".join(list_reasons(Told(structs.replace(FOUND, **changes))))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epoch": None, "step": None}, "all weights are equal to the bit at every step of 9 epochs"),
        ({"epoch": 0, "step": None}, "before the first step: by their initial weights"),
        ({"step": None}, "before the first step of epoch 4: a weight was moved"),
    ],
)
def test_place_is_said_where_there_is_no_step(changes: dict[str, Any], said: str) -> None:
    assert said in say_place(structs.replace(FOUND, **changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"is_reversed": True}, "the same 5 examples in reverse order"),
        ({}, "the same 5 examples in another order"),
        ({"moved": 0, "altered": 2}, "in the same order, 2 of them with other values"),
        ({"shared": 1}, "other examples: 1 are in both minibatches of 5 and 5"),
    ],
)
def test_minibatches_are_described(changes: dict[str, Any], said: str) -> None:
    batches = Batches(size=(5, 5), shared=5, moved=4, altered=0, examples=((1, 2), (2, 1)))
    assert said in say_batches(structs.replace(batches, **changes))


def test_what_varies_is_told_before_what_follows_from_it() -> None:
    lines = list_reasons(Told(FOUND, settings=("train.lr 0.1 and 0.2",), seeds=("seeds.shuffle 1 and 2",)))
    assert lines[:2] == [
        "their settings differ: train.lr 0.1 and 0.2",
        "what varies between them: seeds.shuffle 1 and 2",
    ]
    assert not any(line.startswith("usually") for line in lines), "the reason is known"


def test_many_ulps_say_nothing() -> None:
    far = structs.replace(TENSORS, ulps=9.1e18, absolute=0.5)
    assert "12 numbers of 144 differ, by 0.5 at most" in list_reasons(Told(structs.replace(FOUND, tensors=far)))[1]


def test_run_that_does_not_repeat_is_named_with_what_it_was_trained_on() -> None:
    found = structs.replace(FOUND, epoch=None, step=None, strayed=(None, 4))
    lines = list_repetition(Told(found, trained=("OMP_NUM_THREADS 1 and 2",)))
    assert lines[0] == "trained again, Control, replica 3, is from epoch 4 on not what its file says"
    assert "what made them differ is not in their recipes" in lines[1]
    assert lines[2] == "they were trained with other things, too: OMP_NUM_THREADS 1 and 2"
    assert list_repetition(Told(FOUND, trained=("torch 1 and 2",))) == []


def test_growth_is_told_by_its_rate_or_as_rounding() -> None:
    rate = Rate(
        quantity="weights", per_step=math.log(2) / 4, interval=(math.log(2) / 5, math.log(2) / 3), steps=(3, 40),
        points=38, fit=0.995,
    )  # fmt: skip
    said = list_rates(structs.replace(FOUND, rates=(rate,)))
    assert "the weights' distance doubles every 4 steps (3 to 5;" in said[0]
    small = structs.replace(FOUND, growth=make_points([ROUNDING] * 4))
    assert "it stays as small as rounding: 1.2e-07 of the weights at most" in list_rates(small)
    assert "no part of the growth is exponential over a factor of 10" in list_rates(FOUND)


def test_jump_is_found_between_two_looks_at_neighbouring_steps() -> None:
    points = make_points([1e-7, 2e-7, 1e-4, 2e-4])
    assert find_jump(points) == (2, pytest.approx(500))
    assert find_jump((points[0], points[2])) is None
    assert find_jump(make_points([0.0, 1.0, 2.0])) is None


def test_table_has_doubled_steps_and_ends_of_epochs() -> None:
    points = make_points([1e-8] * 300, {step: step // 10 for step in range(10, 300, 10)})
    steps = [point.step for point in choose_points(points, 20)]
    assert {0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 290} <= set(steps)
    assert len(steps) <= 22


def test_curve_is_a_line_of_the_logarithm_between_looks() -> None:
    points = (*make_points([1e-4]), structs.replace(make_points([1e-2])[0], step=2))
    curve = make_curves(structs.replace(FOUND, growth=points))[0]
    assert curve.middle == pytest.approx([1e-4, 1e-3, 1e-2])


def test_picture_ends_a_while_behind_the_growth() -> None:
    grown = make_points([1e-6 * 2.0 ** min(step, 19) for step in range(1000)])
    assert choose_last(grown) == 45, "2.5 times the 18 steps in which it comes to half of where it ends"
    assert say_axis(structs.replace(FOUND, growth=grown)).endswith("over the first 45 of 999 steps")
    assert choose_last(grown[:30]) == 29
    assert choose_last(()) == 0


def test_text_and_page_hold_all_of_it() -> None:
    told = Told(FOUND, settings=("train.lr 0.1 and 0.2",))
    lines = describe_divergence(told, ASCII, width=80)
    text = "\n".join(lines)
    assert "their settings differ: train.lr 0.1 and 0.2" in text
    assert "layers.0.conv1" in text
    assert all(line.isascii() for line in lines if "ulp" not in line and "R²" not in line)
    assert max(map(len, lines[6:])) <= 160
    page = make_divergence_page(told)
    assert page.count("<svg") == 1
    assert "layers.0.conv1" in page
    assert make_divergence_page(Told(structs.replace(FOUND, epoch=None, growth=()))).count("<svg") == 0


def test_names_from_a_file_are_shown_and_not_obeyed() -> None:
    hostile = structs.replace(FOUND, arms=("\x1b[31m<b>", "x"), operation=structs.replace(OPERATION, module="\x1b[2J"))
    assert "\x1b" not in "\n".join(describe_divergence(Told(hostile)))
    assert "<b>" not in make_divergence_page(Told(hostile)).partition("<main")[2]
