"""The pairs of replicas of the two arms that a study compares, as far as they have been trained."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from engine.study.decision_record import CompareSettings
from engine.study.run_records import ResultRecord
from engine.study.snapshot import ArmView, RunView


@dataclass(frozen=True)
class Pairs:
    """The pairs that count by now: those before the first that is still to be trained."""

    numbers: tuple[int, ...]
    """Of the pairs that have a figure in both arms, from 1."""
    differences: tuple[float, ...]
    """The figure of A less that of B, in the measure's unit, one for each of them."""
    passed: int
    """Pairs that are through, those without a figure included."""
    planned: int
    """How many there may be at most."""


def count_pairs(arms: Iterable[ArmView], settings: CompareSettings) -> Pairs:
    """Return the pairs that count, in the order of their numbers.

    A pair is through when nothing of it will be trained any more. One that failed or diverged has no figure. A run that
    both arms share is no pair: arms that differ in their sources alone share that of the base seeds. A pair behind one
    that is not through does not count yet: fast trainings would count more often than slow ones.
    """
    named = {arm.name: arm.runs for arm in arms}
    one, other = named.get(settings.a, ()), named.get(settings.b, ())
    numbers: list[int] = []
    differences: list[float] = []
    passed = 0
    for a, b in zip(one, other, strict=False):
        if not (_is_through(a) and _is_through(b)):
            break
        passed += 1
        figures = find_figure(a.state.result, settings.measure), find_figure(b.state.result, settings.measure)
        if figures[0] is not None and figures[1] is not None and a.id != b.id:
            numbers.append(passed)
            differences.append(figures[0] - figures[1])
    return Pairs(tuple(numbers), tuple(differences), passed, min(len(one), len(other)))


def _is_through(run: RunView) -> bool:
    return run.state.status == "done" or (run.state.status in ("failed", "lost") and not run.state.retriable)


def find_figure(result: ResultRecord | None, measure: str) -> float | None:
    """Return what a run ended with: a measure of the program's, or a score that a user's own program left.

    Returns:
        None where there is no such figure, or the run diverged.
    """
    if result is None or result.diverged:
        return None
    measured = {
        "accuracy": result.test_accuracy,
        "cross-entropy": result.test_cross_entropy,
        "perplexity": result.test_perplexity,
    }.get(measure)
    found = result.scores.get(measure) if measured is None else measured
    return found if found is not None and math.isfinite(found) else None
