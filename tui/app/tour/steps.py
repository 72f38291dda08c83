"""Tells what is seen at each stop of the tour: every figure comes from the study that is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.study.metrics_record import ArmMeasures, StudyMeasures
from tui.text.format import MISSING, format_interval

Place = Literal["home", "monitor", "results", "builder"]


@dataclass(frozen=True)
class Step:
    """One stop of the tour."""

    place: Place
    title: str
    tell: Callable[[StudyMeasures], str]
    tab: str = ""
    """The page of the results; of home, "preview" shows what is said of the study where there is room for one pane."""


def find_arm(measured: StudyMeasures, *vary: str) -> ArmMeasures:
    """Return the first arm that varies exactly these sources; else the one that varies most."""
    exact = (arm for arm in measured.arms if arm.vary == vary)
    return next(exact, max(measured.arms, key=lambda arm: len(arm.vary)))


def show(arm: ArmMeasures, key: str, decimals: int = 2) -> str:
    """Write a measure of an arm with its interval."""
    found = arm.find(key)
    if found.value is None:
        return MISSING
    if found.interval is None:
        return f"{found.value:.{decimals}f}"
    return format_interval(found.value, found.interval, decimals)


def tell_welcome(measured: StudyMeasures) -> str:
    """Say what the tour is."""
    return (
        "Training a network twice gives two different networks. How different, and why, is what this program "
        "measures. Here is a finished study that came along. Nothing is trained and nothing of yours is changed. "
        "→ goes on, ← goes back, q leaves; every other key does what it always does, so look around."
    )


def tell_study(measured: StudyMeasures) -> str:
    """Say what a study is."""
    networks = len({run for arm in measured.arms for run in arm.runs_used})
    control = find_arm(measured)
    return (
        f"One protocol, trained, is a study: {networks} networks here. Each row of the table is an arm. It varies "
        f"one source of nondeterminism, or several, and holds all others fixed. {control.name} varies nothing, "
        f"and its replicas are {'equal to the bit' if control.identical_weights else 'not equal'}: what another "
        "arm shows comes from its source."
    )


def tell_monitor(measured: StudyMeasures) -> str:
    """Say what is seen while a study trains."""
    return (
        "While a study trains, this is where you look. The picture shows how far the test accuracies of the "
        "replicas lie apart, by epoch; below it stand the arms with what is measured so far, and the runs. Close "
        "the terminal when you like: training goes on, and the picture is here when you come back."
    )


def tell_answer(measured: StudyMeasures) -> str:
    """Say what the sentences are."""
    return (
        "The answer comes first, in words. Each sentence has a test or an interval behind it, and Enter shows "
        "the evidence. What cannot be told apart is called so."
    )


def tell_spread(measured: StudyMeasures) -> str:
    """Say what the SD of accuracy means."""
    arm = max(measured.arms, key=lambda arm: len(arm.vary))
    spread = arm.find("accuracy_sd").value or 0.0
    apart = 2 / math.sqrt(math.pi) * spread
    return (
        f"1: the SD of accuracy. Under {arm.name} it is {show(arm, 'accuracy_sd')} percentage points. Two "
        f"trainings that differ in nothing but their seeds lie {apart:.1f} points apart on average. An "
        "improvement of 0.3 that was seen once says nothing here. 2, the SD of cross-entropy, is the same for "
        "the loss, which has no steps."
    )


def tell_disagreement(measured: StudyMeasures) -> str:
    """Say what disagreement and correlation mean."""
    bit, init = find_arm(measured, "bit"), find_arm(measured, "init")
    return (
        "3: pairwise disagreement. Other initial weights change the predicted class of "
        f"{show(init, 'disagreement', 1)} % of the test images, one flipped bit that of "
        f"{show(bit, 'disagreement', 1)} %, though the accuracies are alike. 4, the rank correlation of all "
        f"outputs, is 1 where two networks order everything in the same way: here {show(init, 'correlation')}."
    )


def tell_ensembles(measured: StudyMeasures) -> str:
    """Say what the ensemble delta means."""
    init = find_arm(measured, "init")
    return (
        f"5: the ensemble delta. The mean of two replicas is {show(init, 'ensemble_delta')} points better than "
        "either: they err on different images. Networks that differ only by rounding would gain nothing. Press e "
        "on any number for what it is, its formula, and what is large or small."
    )


def tell_intervals(measured: StudyMeasures) -> str:
    """Say what the intervals are."""
    n = max(arm.n for arm in measured.arms)
    return (
        f"Every number has an interval: where the truth lies, with 95 % confidence, after {n} replicas. Intervals "
        "that lie far apart tell two sources apart; of those that overlap, the answer and the comparison (c) say "
        "what can be told, and how many more replicas would settle it."
    )


def tell_examples(measured: StudyMeasures) -> str:
    """Say what replicas disagree about."""
    return (
        "What do replicas disagree about? About a few hard examples most of all. This page lists the classes and "
        "examples on which they differ, and how well the votes are calibrated."
    )


def tell_builder(measured: StudyMeasures) -> str:
    """Say how a protocol is built."""
    return (
        "A protocol is built here: arms down, sources across, space switches one on or off, and what it would "
        "cost stands below. It is a TOML file that you can keep beside your paper. Your own network, data, or "
        "training command take the place of the presets. ctrl+r trains it, after a question that says how long."
    )


def tell_end(measured: StudyMeasures) -> str:
    """Say what to do next."""
    return (
        "That is the way: protocol, study, answer. q ends the tour. Then: `nondet-tui`, and r on quickstart "
        "trains this study, with more replicas; n begins one of your own; `nondet-tui --batch protocol.toml` does "
        "the same without a screen, on a server."
    )


STEPS: Sequence[Step] = (
    Step("home", "Two trainings, two networks", tell_welcome),
    Step("home", "A study", tell_study, "preview"),
    Step("monitor", "While it trains", tell_monitor),
    Step("results", "The answer", tell_answer, "answer"),
    Step("results", "Five measures: spread", tell_spread, "table"),
    Step("results", "Five measures: disagreement", tell_disagreement, "table"),
    Step("results", "Five measures: ensembles", tell_ensembles, "table"),
    Step("results", "How sure", tell_intervals, "intervals"),
    Step("results", "What about", tell_examples, "examples"),
    Step("builder", "Your own", tell_builder),
    Step("home", "Where to go", tell_end),
)
"""In their order."""
