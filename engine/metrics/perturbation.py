"""The growth of moved bits: every replica of an arm beside the run that differs in nothing but that.

The runs have left sketches of their weights after some of their steps; predictions are compared at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from engine.errors import StudyError
from engine.metrics.conditioning import find_twin
from engine.metrics.growth import fit_slope
from engine.metrics.replicas import Replica
from engine.metrics.response import average, average_logs, fit_exponent, fit_growth
from engine.metrics.spread import FEWEST
from engine.plan.records import PlannedArm
from engine.study.epochs import read_epochs
from engine.study.estimate import NOTHING, Estimate
from engine.study.growth_record import Growth, ReplicaGrowth, Response
from engine.study.metrics_record import ArmMeasures
from engine.study.paths import StudyPaths
from engine.study.run_records import ResultRecord, read_recipe
from engine.study.sketches import Path, decode_sketches, measure_distances
from engine.study.study_plan import StudyPlan

CURVE_POINTS = 240
"""Points of a curve that is kept; of more steps some are left out."""

LARGER = 10.0
"""A change counts as larger than what rounding makes where it is so many times as large."""


class Way(NamedTuple):
    """The distance of a run from its unmoved twin."""

    steps: np.ndarray
    """Since the bit was moved, int64 (T,), rising from 0."""
    distances: np.ndarray
    """Relative to the size of the twin's weights, (T,)."""


def measure_growth(
    paths: StudyPaths,
    plan: StudyPlan,
    arm: PlannedArm,
    replicas: Mapping[str, Replica | None],
    *,
    previous: Growth | None = None,
) -> Growth | None:
    """Measure how the moved bits of an arm grew; None for other arms, without sketches, and without the unmoved run.

    Args:
        paths: The study.
        plan: Says whether sketches were taken.
        arm: The arm as it is planned.
        replicas: The runs of the study that have finished, by their ids.
        previous: An earlier growth of the arm; it stands while its runs do.
    """
    finished = {run: found.result for run, found in replicas.items() if found is not None and found.result is not None}
    twin = find_twin(paths, arm, finished) if plan.metrics.sketches else None
    if twin is None:
        return None
    runs = tuple(run for run in arm.runs if run in finished and not finished[run].diverged)
    if previous is not None and (previous.twin, previous.runs) == (twin, runs):
        return previous
    plain = _read_path(paths, finished[twin])
    if plain is None:
        return Growth(twin=twin, runs=runs, reason="the run in which nothing was moved has left no sketches")
    steps_per_epoch = int(plain.steps[-1]) // finished[twin].epochs
    unmoved = _classify(replicas[twin])
    ways: list[Way] = []
    measured: list[ReplicaGrowth] = []
    start = 0
    for run in runs:
        recipe = read_recipe(paths.run(run), run)
        start = 0 if recipe.onset is None else recipe.onset.epoch * steps_per_epoch
        own = _read_path(paths, finished[run])
        way = None if own is None else follow(own, plain, finished[run], start)
        if way is not None and recipe.bit is not None:
            found = measure_replica(way, run, recipe.bit.seed, _compare(_classify(replicas[run]), unmoved))
            ways += [] if found is None else [way]
            measured += [] if found is None else [found]
    if not measured:
        return Growth(twin=twin, runs=runs, reason="no replica has left sketches")
    return summarise(
        Growth(twin=twin, runs=runs, start=start, steps_per_epoch=steps_per_epoch, replicas=tuple(measured)), ways
    )


def _read_path(paths: StudyPaths, result: ResultRecord) -> Path | None:
    """Read where a run's weights were; None where it has left no sketches."""
    records = read_epochs(paths.run(result.run).attempt(result.attempt).epochs).records
    return decode_sketches([record.sketches for record in records])


def follow(own: Path, plain: Path, result: ResultRecord, start: int) -> Way | None:
    """Return the distance of a run from its twin, from the step on before which its bit was moved.

    The first distance is that of the moved weight alone, which is known exactly.
    """
    steps, distances = measure_distances(own, plain)
    place = np.searchsorted(plain.steps, start)
    if result.bit is None or not result.bit.change or place >= len(plain.steps) or plain.steps[place] != start:
        return None
    first = result.bit.change / float(np.linalg.norm(plain.sums[place]))
    later = steps > start
    return Way(np.concatenate([[0], steps[later] - start]), np.concatenate([[first], distances[later]]))


def measure_replica(way: Way, run: str, seed: int, disagreement: float | None) -> ReplicaGrowth | None:
    """Measure one replica; None where too few of its distances are numbers above 0."""
    fit = fit_growth(way.steps, way.distances)
    if fit is None:
        return None
    return ReplicaGrowth(
        run=run,
        seed=seed,
        size=fit.size,
        distance=fit.level,
        doubling_steps=fit.doubling_steps,
        saturation_step=fit.saturation_step,
        disagreement=disagreement,
    )


def _classify(replica: Replica | None) -> np.ndarray | None:
    """Return the class or word that a run predicts of each test example, int (N,); None without predictions."""
    if replica is None or replica.predictions is None:
        return None
    try:
        values = replica.predictions.read()
    except StudyError:
        return None
    if values.dtype.names is not None:
        return values["argmax"]
    return values if values.ndim == 1 else values.argmax(axis=1)


def _compare(one: np.ndarray | None, other: np.ndarray | None) -> float | None:
    """Return how many examples two runs predict otherwise, percent."""
    if one is None or other is None or one.shape != other.shape:
        return None
    apart: np.ndarray = one != other
    return 100 * float(np.count_nonzero(apart)) / len(one)


def summarise(growth: Growth, ways: Sequence[Way]) -> Growth:
    """Return an arm's growth with the means over its replicas, and their curve."""
    replicas = growth.replicas
    grown = [(one.doubling_steps, one.saturation_step) for one in replicas]
    doubling = [steps for steps, _ in grown if steps is not None]
    saturation = [float(step) for _, step in grown if step]
    apart = [one.disagreement for one in replicas if one.disagreement is not None]
    steps, mean, low, high = draw_curve(ways)
    return msgspec.structs.replace(
        growth,
        size=average_logs([one.size for one in replicas]),
        distance=average_logs([one.distance for one in replicas]),
        doubling_steps=average_logs(doubling),
        saturation_step=average_logs(saturation),
        disagreement=average(apart),
        grown=sum(step is not None for _, step in grown),
        steps=steps,
        mean=mean,
        low=low,
        high=high,
    )


Curve = tuple[tuple[int, ...], tuple[float | None, ...], tuple[float | None, ...], tuple[float | None, ...]]


def draw_curve(ways: Sequence[Way]) -> Curve:
    """Return the steps that all ways have in common, and mean, least and largest distance after each of them.

    The mean is geometric. Of many steps some are left out, never the first or the last.
    """
    common = ways[0].steps
    for way in ways[1:]:
        common = np.intersect1d(common, way.steps, assume_unique=True)
    if len(common) > CURVE_POINTS:
        common = common[np.unique(np.linspace(0, len(common) - 1, CURVE_POINTS).round().astype(np.int64))]
    table = np.stack([way.distances[np.searchsorted(way.steps, common)] for way in ways])
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = (np.exp(np.log(table).mean(axis=0)), table.min(axis=0), table.max(axis=0))
    mean, low, high = (tuple(value if 0 < value < np.inf else None for value in row.tolist()) for row in rows)
    return tuple(common.tolist()), mean, low, high


def add_responses(arms: Iterable[ArmMeasures]) -> tuple[ArmMeasures, ...]:
    """Return arms with what those say together that move the same weights of one training at one time, by other sizes.

    Only the seeds count that all of them have. Where rounding alone carries the smallest change further than another
    arm's change is large, the end says nothing of the size; such arms are left out, as long as three sizes remain.
    """
    arms = tuple(arms)
    families: dict[tuple[str, int], list[tuple[str, Growth]]] = {}
    for arm in arms:
        if arm.growth is not None and arm.growth.replicas:
            families.setdefault((arm.growth.twin, arm.growth.start), []).append((arm.name, arm.growth))
    found: dict[str, Response | None] = {}
    for family in families.values():
        response = _respond(sorted(family, key=lambda one: one[1].size.value or 0.0))
        found |= dict.fromkeys((name for name, _ in family), response)
    return tuple(msgspec.structs.replace(arm, response=found.get(arm.name)) for arm in arms)


def _respond(family: Sequence[tuple[str, Growth]]) -> Response | None:
    floor = LARGER * (family[0][1].distance.value or 0.0)
    larger = [one for one in family if (one[1].size.value or 0.0) > floor]
    chosen = larger if len(larger) >= FEWEST else family
    by_seed = [{one.seed: one for one in growth.replicas} for _, growth in chosen]
    seeds = sorted(set[int].intersection(*(set(known) for known in by_seed)))
    if len(chosen) < FEWEST or not seeds:
        return None
    table = [[known[seed] for known in by_seed] for seed in seeds]
    sizes = np.array([[one.size for one in row] for row in table])
    ends = np.array([[one.distance for one in row] for row in table])
    apart = np.array([[one.disagreement or 0.0 for one in row] for row in table])
    steps = np.array([[one.saturation_step or 0 for one in row] for row in table], dtype=np.float64)
    return Response(
        arms=tuple(name for name, _ in chosen),
        exponent=fit_exponent(sizes, ends),
        disagreement_exponent=fit_exponent(sizes, apart) if (apart > 0).all() else NOTHING,
        steps_per_doubling=_lead(sizes, steps),
        above_floor=len(chosen) < len(family),
    )


def _lead(sizes: np.ndarray, steps: np.ndarray) -> Estimate:
    """Return the steps by which growth ends sooner where a change is twice as large."""
    if np.any(steps <= 0):
        return NOTHING
    return average([-fit_slope(np.log2(x), y) for x, y in zip(sizes, steps, strict=True)])
