"""The condition number of training: how far one moved bit carries, against the run in which nothing was moved.

Source: paper, section 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.errors import StudyError
from engine.plan.records import PlannedArm
from engine.study.metrics_record import ConditionNumbers
from engine.study.paths import StudyPaths
from engine.study.run_records import ResultRecord, read_recipe


def find_condition_numbers(
    paths: StudyPaths, arm: PlannedArm, finished: Mapping[str, ResultRecord]
) -> ConditionNumbers | None:
    """Find the condition numbers of an arm in which one bit alone varies; None for others, or without the unmoved twin.

    Args:
        paths: The study, for the recipes of its runs.
        arm: The arm as it is planned.
        finished: result.json by run id.
    """
    twin = find_twin(paths, arm, finished)
    if twin is None:
        return None
    return condition_numbers([finished[run] for run in arm.runs if run in finished], finished[twin])


def find_twin(paths: StudyPaths, arm: PlannedArm, finished: Mapping[str, ResultRecord]) -> str | None:
    """Find a finished run that differs from an arm's runs in nothing but their moved bit; None where there is none."""
    if arm.vary != ("bit",) or arm.group > 1:
        return None
    twins = {_unperturbed(paths, run) for run in arm.runs if run in finished}
    if len(twins) != 1 or None in twins:
        return None
    for run, result in finished.items():
        if result.bit is None and _unperturbed(paths, run) in twins:
            return run
    return None


def _unperturbed(paths: StudyPaths, run: str) -> str | None:
    """Return the id of the training without the moved bit, of any repetition; None without a readable recipe."""
    try:
        recipe = read_recipe(paths.run(run), run)
    except StudyError:
        return None
    # Free kernels have no unperturbed twin: nothing repeats there.
    if recipe.lowlevel == "kernels":
        return None
    if recipe.bit is not None:
        recipe = recipe.prefix
    return replace(recipe, bit=None, repeat=None).id


def condition_numbers(moved: list[ResultRecord], plain: ResultRecord) -> ConditionNumbers | None:
    """Return lower bounds of the condition number: |Δf| / ‖Δx‖, the largest over the runs with a moved bit.

    Absolute: f is cross-entropy in nats or accuracy in percent, x one weight. The relative ones divide both sides by
    their values.

    Args:
        moved: result.json of runs with a moved bit.
        plain: result.json of the run that differs in nothing but that.

    Source: paper, section 4.1: 0.00855 / 4.66e-10 = 1.8e7 for cross-entropy.
    """
    numbers: dict[str, float] = {}
    for result in moved:
        if result.bit is None or not result.bit.change:
            continue
        for name, value, before in (
            ("cross_entropy", result.test_cross_entropy, plain.test_cross_entropy),
            ("accuracy", result.test_accuracy, plain.test_accuracy),
        ):
            if value is None or before is None:
                continue
            ratio = abs(value - before) / result.bit.change
            numbers[name] = max(numbers.get(name, 0.0), ratio)
            if before and result.bit.old:
                relative = ratio * abs(result.bit.old) / abs(before)
                numbers[f"{name}_relative"] = max(numbers.get(f"{name}_relative", 0.0), relative)
    return ConditionNumbers(**numbers) if numbers else None
