"""`python -P -m engine.metrics compare …`: two arms of one or two studies, from the predictions that they stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from msgspec import structs

from engine.errors import StudyError
from engine.metrics.arm_disputes import measure_disputes
from engine.metrics.arm_scores import ArmScores
from engine.metrics.comparison import ENOUGH_EQUAL, compare_scores, show_spread
from engine.metrics.finished import FinishedArm, read_finished
from engine.metrics.planning import plan_pilot
from engine.protocol.faults import printable
from engine.recipe import Recipe
from engine.study.comparison_record import ArmsCompared, PowerPlan
from engine.study.paths import StudyPaths
from engine.study.run_records import read_recipe


def compare_arms(
    first: tuple[StudyPaths, str],
    second: tuple[StudyPaths, str],
    measure: str | None,
    margin: float | None,
    *,
    every: bool = False,
) -> ArmsCompared:
    """Compare two arms; replicas of the same seeds are paired where every replica of the smaller arm has its partner.

    Args:
        first: A study and the name of its arm.
        second: Likewise.
        measure: One that both arms have; None for the first of them.
        margin: The smallest difference worth having, in the measure's unit; above 0.
        every: Whether all other measures of both are compared, too.

    Raises:
        StudyError: If the arms cannot be compared: no such arm, none finished, or other test examples.
    """
    arms = [read_finished(*side) for side in (first, second)]
    planned = [len(arm.arm.runs) // arm.arm.group for arm in arms]
    _refuse_misfits(arms)
    arms, without_number = _keep_having(arms, measure)
    paired = are_paired(arms, [first[0], second[0]])
    arms = _keep_partners(arms) if paired else [_keep_different(arm) for arm in arms]
    scores = ArmScores(arms)
    first_measure = scores.choose(measure)
    others = [name for name in scores.list_known() if every and name != first_measure]
    found = [
        compare_scores(
            scores.score(name),
            paired=paired,
            margin=None if place else margin,
            measure=name,
            sequential=_is_sequential(arms, name),
        )
        for place, name in enumerate([first_measure, *others])
    ]
    shared = len({one.run for one in arms[0].replicas} & {one.run for one in arms[1].replicas})
    left_out = tuple(count - len(arm.replicas) for count, arm in zip(planned, arms, strict=True))
    classes = scores.predict()
    disputes = None if classes is None else measure_disputes(*classes, scores.classes, paired=paired)
    return ArmsCompared(
        comparison=found[0],
        others=tuple(found[1:]),
        disputes=disputes,
        left_out=(left_out[0], left_out[1]),
        without_number=(without_number[0], without_number[1]),
        diverged=(arms[0].diverged, arms[1].diverged),
        shared=shared,
    )


def plan_arms(
    first: tuple[StudyPaths, str],
    second: tuple[StudyPaths, str] | None,
    measure: str | None,
    margin: float,
    power: float,
) -> PowerPlan:
    """Plan how many replicas a difference of two arms needs, with the replicas that have finished as a pilot.

    Args:
        first: A study and the name of its arm.
        second: Likewise; None where another arm is taken to scatter as the first does.
        measure: One that both arms have; None for the first of them.
        margin: The smallest difference worth having, above 0.
        power: The probability with which it is to be found, between 0 and 1.

    Raises:
        StudyError: If the arms cannot be compared, or fewer than two replicas of one have finished.
    """
    sides = [first] if second is None else [first, second]
    arms = [read_finished(*side) for side in sides]
    _refuse_misfits(arms)
    arms, _ = _keep_having(arms, measure)
    paired = len(arms) > 1 and are_paired(arms, [side[0] for side in sides])
    arms = _keep_partners(arms) if paired else [_keep_different(arm) for arm in arms]
    for arm in arms:
        if len(arm.replicas) < 2:
            why = "nothing varies in it" if not arm.arm.vary else "fewer than two of its replicas have finished"
            raise StudyError(
                f"{arm.title}: shows no spread, since {why}: name an arm that was trained with other seeds"
            )
    scores = ArmScores([arms[0], arms[-1]])
    wanted = scores.choose(measure)
    scored = scores.score(wanted)
    one, other = scored.figures
    if not show_spread(scored, paired=paired):
        said = f"{arms[0].title}: shows" if len(arms) == 1 else f"{arms[0].title} and {arms[1].title}: show"
        raise StudyError(
            f"{said} no spread in {printable(wanted)}: figures of so few replicas may be equal by chance: "
            f"train {ENOUGH_EQUAL} or more of each"
        )
    found = plan_pilot(one, other if len(arms) > 1 else None, paired=paired, margin=margin, power=power, measure=wanted)
    return structs.replace(found, seconds=tuple(_average_seconds(arm) for arm in arms))


def _is_sequential(arms: list[FinishedArm], measure: str) -> bool:
    """Tell whether the arms' replicas were trained until the difference in this measure was decided."""
    settings = arms[0].plan.compare
    if settings is None or not settings.until_decided or arms[0].plan != arms[1].plan:
        return False
    return {settings.a, settings.b} == {arm.arm.name for arm in arms} and settings.measure == measure


def _average_seconds(arm: FinishedArm) -> float:
    """Return what a replica took to train; of an ensemble all its members together are one, and count as none."""
    return float(np.mean([one.result.seconds for one in arm.replicas if one.result is not None] or [0.0]))


def _refuse_misfits(arms: list[FinishedArm]) -> None:
    """Refuse arms that were tested on other examples, or of which no replica can be used.

    Raises:
        StudyError: That says which.
    """
    names = [arm.title for arm in arms]
    both = f"{names[0]} and {names[-1]}"
    if arms[0].plan.text != arms[-1].plan.text:
        raise StudyError(f"{both}: a language model is not compared with a network for images")
    for name, arm in zip(names, arms, strict=True):
        if arm.arm.crossed:
            raise StudyError(
                f"{name}: is a grid, whose runs share seeds and are no independent replicas: compare arms that vary "
                "its sources instead"
            )
        if not arm.replicas:
            raise StudyError(f"{name}: has no finished replica that can be compared: train it first")
    one, other = arms[0].labels, arms[-1].labels
    if one is not None and other is not None and one.sha256 != other.sha256:
        sizes = " and ".join(f"{len(labels.values):,}" for labels in (one, other))
        raise StudyError(
            f"{both}: were tested on other examples ({sizes} of them, with other labels): "
            "only arms with the same test set can be compared"
        )
    shapes = {part.shape for arm in arms for part in arm.predictions if len(part.shape) > 1}
    if len(shapes) > 1:
        raise StudyError(f"{both}: tell apart other numbers of classes, and cannot be compared")


def _keep_having(arms: list[FinishedArm], measure: str | None) -> tuple[list[FinishedArm], list[int]]:
    """Keep the replicas that left a number, where one is asked for that only some of each arm left.

    Returns:
        The arms, and how many replicas of each left no such number; as they are where an arm would have none.
    """
    nothing = [0] * len(arms)
    if measure is None or measure in ArmScores([arms[0], arms[-1]]).list_known():
        return arms, nothing
    kept: list[FinishedArm] = []
    for arm in arms:
        having = [
            (replica, number)
            for replica, number in zip(arm.replicas, arm.numbers, strict=True)
            if replica.result is not None and measure in replica.result.scores
        ]
        if not having:
            return arms, nothing
        kept.append(replace(arm, replicas=tuple(r for r, _ in having), numbers=tuple(n for _, n in having)))
    return kept, [len(arm.replicas) - len(part.replicas) for arm, part in zip(arms, kept, strict=True)]


def are_paired(arms: list[FinishedArm], studies: list[StudyPaths]) -> bool:
    """Tell whether replica r of both arms has the same seeds, for every r that both plan; never of ensembles or grids.

    Seeds of a source that varies in neither arm do not matter; of one that varies in one arm alone they differ.
    """
    if any(arm.arm.group > 1 or arm.arm.crossed for arm in arms) or set(arms[0].arm.vary) != set(arms[1].arm.vary):
        return False
    if not arms[0].arm.vary:
        return False
    found = [
        [_read_seeds(paths, run) for run in arm.arm.runs[: min(len(one.arm.runs) for one in arms)]]
        for paths, arm in zip(studies, arms, strict=True)
    ]
    return all(one is not None and one == other for one, other in zip(*found, strict=True))


def _read_seeds(paths: StudyPaths, run: str) -> object:
    """Return what tells one replica of an arm from another; None where its recipe cannot be read."""
    try:
        recipe: Recipe = read_recipe(paths.run(run), run)
    except StudyError:
        return None
    return recipe.seeds, None if recipe.bit is None else recipe.bit.seed


def _keep_partners(arms: list[FinishedArm]) -> list[FinishedArm]:
    """Keep the replicas whose number has a finished replica in both arms."""
    both = set(arms[0].numbers) & set(arms[1].numbers)
    kept: list[FinishedArm] = []
    for arm in arms:
        pairs = [(r, n) for r, n in zip(arm.replicas, arm.numbers, strict=True) if n in both]
        kept.append(replace(arm, replicas=tuple(r for r, _ in pairs), numbers=tuple(n for _, n in pairs)))
    if not both:
        raise StudyError("no two replicas of the same seeds have finished in both arms: train more of them")
    return kept


def _keep_different(arm: FinishedArm) -> FinishedArm:
    """Keep one replica of an arm in which nothing varies: its others are the same network, and show no spread."""
    return arm if arm.arm.vary else replace(arm, replicas=arm.replicas[:1], numbers=arm.numbers[:1])
