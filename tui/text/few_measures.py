"""Chooses the few measures that a small view has room for: SD and disagreement, or the numbers of a program."""

from __future__ import annotations

from collections.abc import Sequence

from engine.catalog.measure_declaration import Measure
from engine.catalog.measures import list_columns
from engine.study.metrics_record import ArmMeasures
from tui.text.tables import are_text, declare_score

DRAWN = 2
"""Measures that are drawn with their intervals."""


def list_scores(arms: Sequence[ArmMeasures]) -> list[tuple[Measure, Measure]]:
    """Return mean and SD of each number by name, where nothing else is known of some arms."""
    if any(arm.kind != "scores" for arm in arms):
        return []
    return [declare_score(name) for name in dict.fromkeys(name for arm in arms for name in arm.scores)]


def explain_numbers(arms: Sequence[ArmMeasures], needed: str) -> str | None:
    """Say that there is nothing to show of arms of which numbers alone are known; None of others.

    Args:
        arms: The arms.
        needed: What it would take, as a plural.
    """
    if not list_scores(arms):
        return None
    return f"The program of this study leaves no {needed}, only numbers by name: the first three tabs show these."


def pick_measures(arms: Sequence[ArmMeasures]) -> tuple[list[Measure], list[Measure]]:
    """Return the measures that are drawn with their intervals, and those that are numbers alone."""
    if scores := list_scores(arms):
        drawn = [spread for _, spread in scores[:DRAWN]]
        return drawn, [measure for pair in scores for measure in pair if measure not in drawn]
    columns = list_columns("monitor", text=are_text(arms))
    drawn = [measure for measure in columns if measure.statistic == "sd"][:1]
    drawn += [measure for measure in columns if measure.key == "disagreement"]
    return drawn, [measure for measure in columns if measure not in drawn]


def add_unit(title: str, unit: str) -> str:
    """Return a title with its unit, unless it ends with that."""
    return title if title.endswith(f" {unit}") else f"{title}, {unit}"
