"""What is said of an arm beside the others: the ratio with its interval, and a number of replicas that does tell."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from engine.catalog.measure_declaration import POWER
from engine.metrics.spread import sd_interval
from engine.study.metrics_record import ArmMeasures
from tests.helpers.measures import make_measures
from tui.text.differences import Side, divide, unbias
from tui.text.verdict import RATIO, compare_spreads, count_replicas, make_verdicts


def measure_side(values: np.ndarray) -> Side:
    """An SD with R − 1 and its interval, as the tables have it."""
    low, high = sd_interval(values)
    return Side(float(values.std(ddof=1)), (float(low), float(high)), len(values))


def make_arm(name: str, sd: float | None, ends: tuple[float, float] | None, n: int = 12, **more: Any) -> ArmMeasures:
    figures: dict[str, Any] = {"accuracy_sd": sd, "accuracy_sd_ci": None if ends is None else list(ends)}
    return make_measures(name=name, n=n, accuracy_sd_error=None, **figures, **more)


@pytest.mark.slow
@pytest.mark.parametrize("start", [12, 40])
def test_so_many_replicas_find_the_ratio_with_the_power_that_is_promised(start: int) -> None:
    """The oracle is simulation: normal replicas of two arms, whose intervals are those of the tables."""
    generator = np.random.default_rng(3)
    more = [
        count_replicas(measure_side(generator.normal(size=start)), measure_side(generator.normal(size=start) * RATIO))
        for _ in range(200)
    ]
    n = start + int(np.median([count for count in more if count is not None]))
    found = 0
    for _ in range(400):
        ends = divide(measure_side(generator.normal(size=n) * RATIO), measure_side(generator.normal(size=n)))
        found += ends is not None and not ends[0] <= 1 <= ends[1]
    assert POWER - 0.06 < found / 400 < POWER + 0.13, "of few replicas the intervals are wide, and more are asked for"


def test_nothing_more_is_needed_where_there_are_enough_and_no_number_is_named_where_it_takes_too_many() -> None:
    sure = Side(1.0, (0.99, 1.01), 50)
    assert count_replicas(sure, sure) == 0
    vague = Side(1.0, (0.01, 100.0), 50)
    assert count_replicas(vague, vague, 1.001) is None
    assert count_replicas(Side(0.0, (0.0, 0.0), 5), sure) is None


NAMES = ["Control", "Init", "Shuffle", "Linear"]
METRICS = {
    "Control": make_arm("Control", 0.0, (0.0, 0.0), n=3, identical_weights=True),
    "Init": make_arm("Init", 0.6, (0.45, 0.9)),
    "Shuffle": make_arm("Shuffle", 0.64, (0.48, 0.95)),
    "Linear": make_arm("Linear", 0.1, (0.07, 0.15)),
}


def test_sentence_names_the_nearest_arm_with_ratio_interval_and_replicas() -> None:
    full, *shorter = make_verdicts(NAMES, METRICS, 1)
    ends = divide(*(unbias(Side(sd, interval, 12)) for sd, interval in ((0.6, (0.45, 0.9)), (0.64, (0.48, 0.95)))))
    assert ends is not None
    assert full.startswith("▲ Init cannot be told apart from ■ Shuffle yet: ratio of SDs 0.94 ")
    assert f"[{ends[0]:.2f} {ends[1]:.2f}]" in full
    more = compare_spreads([METRICS[name] for name in NAMES], 1, METRICS["Init"].measures[1])[0].more
    assert f"about {more} more replicas of each would tell 1.3 apart" in full
    assert "told apart from ◆ Linear (6.00 [" in full
    assert full.endswith("and ● Control (no spread)")
    lengths = [len(text) for text in (full, *shorter)]
    assert lengths == sorted(lengths, reverse=True)
    assert all("0.94 [" in text for text in shorter)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "● Control has no spread: its 3 replicas are alike to the last bit"),
        (3, "◆ Linear can be told apart from"),
        (4, "▼ Late: 2 of 5 are measured; what can be told takes 3 replicas"),
        (5, "★ Few: only 2 are measured; what can be told takes 3 replicas"),
        (6, "○ Pair has no spread: its 2 replicas are alike to the last bit"),
        (7, "△ None: nothing is measured yet; what can be told takes 3 replicas"),
    ],
)
def test_sentence_says_what_there_is_to_say(number: int, said: str) -> None:
    metrics = METRICS | {
        "Late": make_arm("Late", 0.5, None, n=2, planned=5),
        "Few": make_arm("Few", 0.5, None, n=2, planned=2),
        "Pair": make_arm("Pair", 0.0, None, n=2, planned=2, identical_weights=True),
    }
    assert make_verdicts([*NAMES, "Late", "Few", "Pair", "None"], metrics, number)[0].startswith(said)


def test_a_few_other_arms_are_named_and_many_are_counted() -> None:
    names = ["A", "B", "C", "D", "E"]
    metrics = {name: make_arm(name, 0.6 + 0.01 * place, (0.4, 1.0)) for place, name in enumerate(names)}
    assert "; nor from ■ C and ◆ D" in make_verdicts(names[:4], metrics, 0)[0]
    assert "; nor from 3 others" in make_verdicts(names, metrics, 0)[0]


def test_sentence_begins_with_mixed_devices() -> None:
    metrics = METRICS | {"Init": msgspec.structs.replace(METRICS["Init"], devices={"H100": 8, "A100": 4})}
    full, *_, shortest = make_verdicts(NAMES, metrics, 1)
    assert full.startswith("▲ Init: trained on 2 models of device, H100 (8), A100 (4): they round differently")
    assert "▲ Init cannot be told apart from ■ Shuffle yet" in full
    assert shortest == "▲ Init mixes models of device"


def test_arm_alone_is_compared_with_nothing() -> None:
    assert "no other arm" in make_verdicts(["Init"], METRICS, 0)[0]
