"""`python -P -m engine.metrics compare …`: two arms of one or two studies, from the predictions that they stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from msgspec import structs

from engine.errors import StudyError
from engine.metrics.comparison import Scores, compare_scores
from engine.metrics.contrasts import add_variances
from engine.metrics.finished import FinishedArm, read_finished
from engine.metrics.intervals import jackknife_variance
from engine.metrics.outputs import ImageOutputs, find_losses
from engine.metrics.pairs import Matrix, disagreement_matrix
from engine.metrics.planning import plan_pilot
from engine.metrics.replicas import open_logits, stack_predictions
from engine.metrics.spread import FEWEST, Ends, half_width
from engine.protocol.faults import printable
from engine.recipe import Recipe
from engine.study.comparison_record import ArmsCompared, Disputes, PowerPlan
from engine.study.paths import StudyPaths
from engine.study.run_records import read_recipe

SCORED = {False: ("accuracy", "cross-entropy"), True: ("perplexity", "cross-entropy")}
"""What networks are compared in, by whether they are language models; the first where nobody said."""


def compare_arms(
    first: tuple[StudyPaths, str], second: tuple[StudyPaths, str], measure: str | None, margin: float | None
) -> ArmsCompared:
    """Compare two arms; replicas of the same seeds are paired where every replica of the smaller arm has its partner.

    Args:
        first: A study and the name of its arm.
        second: Likewise.
        measure: One of SCORED; None for the first of them.
        margin: The smallest difference worth having, in the measure's unit; above 0.

    Raises:
        StudyError: If the arms cannot be compared: no such arm, none finished, or other test examples.
    """
    arms = [read_finished(*side) for side in (first, second)]
    planned = [len(arm.arm.runs) // arm.arm.group for arm in arms]
    _refuse_misfits(arms)
    text = arms[0].plan.text
    wanted = _choose_measure(arms[0], measure)
    paired = are_paired(arms, [first[0], second[0]])
    arms = _keep_partners(arms) if paired else [_keep_different(arm) for arm in arms]
    scores = _score_text(arms, wanted) if text else _score_images(arms, wanted)
    comparison = compare_scores(scores, paired=paired, margin=margin, measure=wanted)
    shared = len({one.run for one in arms[0].replicas} & {one.run for one in arms[1].replicas})
    left_out = tuple(count - len(arm.replicas) for count, arm in zip(planned, arms, strict=True))
    disputes = None if text else measure_disputes(*_predict(arms), arms[0].predictions[0].shape[1], paired=paired)
    return ArmsCompared(comparison=comparison, disputes=disputes, left_out=(left_out[0], left_out[1]), shared=shared)


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
        measure: One of SCORED; None for the first of them.
        margin: The smallest difference worth having, above 0.
        power: The probability with which it is to be found, between 0 and 1.

    Raises:
        StudyError: If the arms cannot be compared, or fewer than two replicas of one have finished.
    """
    sides = [first] if second is None else [first, second]
    arms = [read_finished(*side) for side in sides]
    _refuse_misfits(arms)
    wanted = _choose_measure(arms[0], measure)
    paired = len(arms) > 1 and are_paired(arms, [side[0] for side in sides])
    arms = _keep_partners(arms) if paired else [_keep_different(arm) for arm in arms]
    for arm in arms:
        if len(arm.replicas) < 2:
            why = "nothing varies in it" if not arm.arm.vary else "fewer than two of its replicas have finished"
            name = f"{printable(arm.plan.study)}:{printable(arm.arm.name)}"
            raise StudyError(f"{name}: shows no spread, since {why}: name an arm that was trained with other seeds")
    score = _score_text if arms[0].plan.text else _score_images
    one, other = score([arms[0], arms[-1]], wanted).figures
    found = plan_pilot(one, other if len(arms) > 1 else None, paired=paired, margin=margin, power=power, measure=wanted)
    return structs.replace(found, seconds=tuple(_average_seconds(arm) for arm in arms))


def _average_seconds(arm: FinishedArm) -> float:
    """Return what a replica took to train; of an ensemble all its members together are one, and count as none."""
    return float(np.mean([one.result.seconds for one in arm.replicas if one.result is not None] or [0.0]))


def _choose_measure(arm: FinishedArm, measure: str | None) -> str:
    allowed = SCORED[arm.plan.text]
    wanted = measure or allowed[0]
    if wanted not in allowed:
        raise StudyError(f"--measure {printable(wanted)}: these networks are compared in one of {', '.join(allowed)}")
    return wanted


def _refuse_misfits(arms: list[FinishedArm]) -> None:
    """Refuse arms that were tested on other examples, or of which no replica can be used.

    Raises:
        StudyError: That says which.
    """
    names = [f"{printable(arm.plan.study)}:{printable(arm.arm.name)}" for arm in arms]
    if arms[0].plan.text != arms[-1].plan.text:
        raise StudyError(f"{names[0]} and {names[-1]}: a language model is not compared with a network for images")
    for name, arm in zip(names, arms, strict=True):
        if not arm.replicas:
            raise StudyError(f"{name}: has no finished replica that can be compared: train it first")
    if arms[0].labels.sha256 != arms[-1].labels.sha256:
        sizes = " and ".join(f"{len(arm.labels.values):,}" for arm in arms)
        raise StudyError(
            f"{names[0]} and {names[-1]}: were tested on other examples ({sizes} of them, with other labels): "
            "only arms with the same test set can be compared"
        )
    shapes = {part.shape for arm in arms for part in arm.predictions}
    if len(shapes) > 1:
        raise StudyError(f"{names[0]} and {names[-1]}: tell apart other numbers of classes, and cannot be compared")


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


def _score_images(arms: list[FinishedArm], measure: str) -> Scores:
    tables: list[np.ndarray] = []
    for arm in arms:
        outputs = ImageOutputs(open_logits(arm.predictions), arm.labels.values.astype(np.int64))
        if measure == "accuracy":
            tables.append(np.where(outputs.right, 100.0, 0.0))
        else:
            tables.append(_refuse_infinite(find_losses(outputs.logits, outputs.labels), arm))
    figures = tables[0].mean(axis=1), tables[1].mean(axis=1)
    return Scores(tables[0], tables[1], figures, larger_is_better=measure == "accuracy")


def _score_text(arms: list[FinishedArm], measure: str) -> Scores:
    tables = [-stack_predictions(arm.predictions)["log_probability"].astype(np.float64) for arm in arms]
    figures = tables[0].mean(axis=1), tables[1].mean(axis=1)
    if measure == "perplexity":
        # A word's score is what it adds to the perplexity to first order, so that scores average to the figures.
        figures = np.exp(figures[0]), np.exp(figures[1])
        tables = [
            figure[:, None] * (1.0 + table - table.mean(axis=1, keepdims=True))
            for figure, table in zip(figures, tables, strict=True)
        ]
    return Scores(tables[0], tables[1], figures, larger_is_better=False)


def _refuse_infinite(losses: np.ndarray, arm: FinishedArm) -> np.ndarray:
    if not np.isfinite(losses).all():
        raise StudyError(
            f"{printable(arm.plan.study)}:{printable(arm.arm.name)}: masks the true class of an example: its "
            "cross-entropy is infinite; compare the accuracy"
        )
    return losses


def _predict(arms: list[FinishedArm]) -> tuple[np.ndarray, np.ndarray]:
    found = [ImageOutputs(open_logits(arm.predictions), arm.labels.values).predictions for arm in arms]
    return found[0], found[1]


def measure_disputes(one: np.ndarray, other: np.ndarray, classes: int, *, paired: bool) -> Disputes | None:
    """Tell whether replicas of two arms disagree more often than replicas of one.

    Pairs of the same seeds are left out, since no two replicas of one arm have the same ones.

    Args:
        one: Predicted classes (R, N).
        other: Likewise, of the same examples.
        classes: How many there are.
        paired: Whether replica r of both has the same seeds.

    Returns:
        None where an arm has one replica.
    """
    sizes = len(one), len(other)
    if min(sizes) < 2:
        return None
    matrix = disagreement_matrix(np.concatenate([one, other]), classes)
    between, within = _average_blocks(matrix, sizes[0], paired=paired)
    excess = between - sum(within) / 2
    ends = _excess_interval(matrix, sizes, excess, paired=paired) if min(sizes) >= FEWEST else None
    interval = None if ends is None else (float(ends[0]), float(ends[1]))
    return Disputes(between=between, within=within, excess=excess, excess_ci=interval)


def _average_blocks(matrix: Matrix, first: int, *, paired: bool) -> tuple[float, tuple[float, float]]:
    """Return the mean of the pairs between the first so many and the others, and of the pairs within each."""
    blocks = matrix[:first, :first], matrix[first:, first:]
    within = [float(block.sum() - np.trace(block)) / (len(block) * (len(block) - 1)) for block in blocks]
    across = matrix[:first, first:]
    if paired:
        return float(across.sum() - np.trace(across)) / (first * (first - 1)), (within[0], within[1])
    return float(across.mean()), (within[0], within[1])


def _excess_interval(matrix: Matrix, sizes: tuple[int, int], excess: float, *, paired: bool) -> Ends:
    """Return the 95 % interval of the excess, from leaving out each replica, or each pair of equal seeds, in turn."""

    def without(left_out: list[int], first: int) -> float:
        kept = np.delete(np.delete(matrix, left_out, axis=0), left_out, axis=1)
        between, within = _average_blocks(kept, first, paired=paired)
        return between - sum(within) / 2

    first, second = sizes
    if paired:
        parts = [[without([i, first + i], first - 1) for i in range(first)]]
    else:
        parts = [
            [without([i], first - 1) for i in range(first)],
            [without([first + i], first) for i in range(second)],
        ]
    variances = np.array([float(jackknife_variance(np.array(part))) for part in parts])
    variance = add_variances(variances, np.array([len(part) - 1.0 for part in parts]))
    half = half_width(np.asarray(variance.value), variance.freedom)
    return np.asarray(excess - half), np.asarray(excess + half)
