"""Chooses what is drawn of the spread over time, in pictures and in text: figure 3 of the paper."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from engine.catalog.measures import EPOCH_FIGURES
from engine.study.curves_record import ArmCurves, Figures


class SpreadSeries(NamedTuple):
    """The spread of one figure of one arm, as it is drawn: at the epochs that two replicas or more have reached."""

    arm: ArmCurves
    number: int
    """The arm's place among all arms, which is its colour in every picture."""
    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def select_spreads(arms: Iterable[ArmCurves]) -> dict[str, list[SpreadSeries]]:
    """Return what is drawn of the spread over time, by the name of the figure, the paper's first.

    Source: paper, figure 3, which shows cross-entropy. Accuracy, or perplexity, comes with it where replicas differ in
    it at all.
    """
    shown: dict[str, list[SpreadSeries]] = {}
    curves = list(arms)
    text = any(arm.test_perplexity is not None for arm in curves)
    for figure in sorted(EPOCH_FIGURES, key=lambda name: name != "cross-entropy"):
        series = [one for number, arm in enumerate(curves) if (one := _find_series(arm, number, figure)) is not None]
        spreads = any(any(one.sd) for one in series)
        if figure == "cross-entropy" or (spreads and text == (figure == "perplexity")):
            shown[figure] = series
    return {figure: series for figure, series in shown.items() if series}


def _find_series(arm: ArmCurves, number: int, figure: str) -> SpreadSeries | None:
    """Return a figure of an arm at its epochs with two replicas or more; None where there are none."""
    found = arm.find(figure)
    if found is None:
        return None
    places = [place for place, n in enumerate(found.n) if n > 1]

    def pick(figures: Figures) -> tuple[float, ...]:
        return tuple(math.nan if (value := figures[place]) is None else value for place in places)

    epochs = tuple(arm.epochs[place] for place in places)
    mean, sd, low, high = map(pick, (found.mean, found.sd, found.low, found.high))
    return SpreadSeries(arm, number, epochs, mean, sd, low, high) if places else None


def describe_diverged(arms: Iterable[ArmCurves]) -> list[str]:
    """Say of each arm with replicas that diverged how many there are, and which of their epochs count."""
    return [
        f"{arm.name}: {len(arm.diverged)} of {len(arm.runs)} replicas diverged; each counts up to the epoch before"
        for arm in arms
        if arm.diverged
    ]
