"""The growth of moved bits over the runs of a study that is made of files alone, against figures put into them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy import stats

from engine.metrics.perturbation import CURVE_POINTS, Way, draw_curve
from engine.plan.records import PlannedArm
from engine.recipe import BitChange, DataRecipe, ModelRecipe, Onset, Recipe, Seeds, TrainRecipe
from engine.study.epochs import BUCKETS, append_epoch
from engine.study.files import make_folder
from engine.study.growth_record import Growth
from engine.study.metrics_record import ArmMeasures
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.run_records import write_spec
from engine.study.sketches import encode_sketches
from engine.study.study_plan import MeasuringSettings
from tests.helpers import arrays_study
from tests.helpers.arrays_study import LABELS, LOGITS
from tests.helpers.records import make_arm, make_bit, make_epoch, make_study

EPOCHS, STEPS = 12, 10
RECIPE = Recipe(
    data=DataRecipe(preset="digits"),
    model=ModelRecipe(preset="linear"),
    train=TrainRecipe(epochs=EPOCHS, batch_size=10),
    seeds=Seeds(init=1, shuffle=1),
    lowlevel="deterministic",
    device="cpu",
)
SIZE = 100.0
"""Of the weights of the twin."""

LATE = replace(RECIPE, onset=Onset(epoch=2, seeds=RECIPE.seeds, lowlevel="deterministic"))
GROWING = [1e-6 * 10 ** (min(epoch, 8) / 2) for epoch in range(EPOCHS + 1)]
"""The distances at the beginning and after every epoch: 20 steps for a factor of 10."""


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    paths = StudyPaths(tmp_path / "study")
    make_folder(paths.folder)
    np.save(paths.labels, LABELS)
    return paths


def put(paths: StudyPaths, recipe: Recipe, distances: list[float], *, wrong: int = 0, sketches: bool = True) -> str:
    """A finished run whose weights are so far from those of the twin at the beginning and the end of each epoch.

    As many of its predictions as are `wrong` are other ones than those of runs without.
    """
    run = paths.run(recipe.id)
    make_folder(run.attempt(1).folder)
    write_spec(run, recipe)
    way = np.zeros((len(distances), BUCKETS))
    way[:, 0], way[:, 1] = SIZE, np.array(distances) * SIZE
    for epoch in range(1, EPOCHS + 1):
        places = [0, 1] if epoch == 1 else [epoch]
        text = encode_sketches([STEPS * place for place in places], way[places]) if sketches else None
        append_epoch(run.attempt(1).epochs, make_epoch(epoch, sketches=text))
    logits = LOGITS[0].copy()
    logits[:wrong] = -logits[:wrong]
    bit = None if recipe.bit is None else make_bit(change=1e-6 * SIZE * recipe.bit.ulps)
    arrays_study.put(paths, recipe.id, logits, epochs=EPOCHS, bit=bit)
    return recipe.id


def moved(seed: int, ulps: int = 1, recipe: Recipe = RECIPE) -> Recipe:
    return replace(recipe, bit=BitChange(seed=seed, ulps=ulps))


def plan(paths: StudyPaths, arms: list[PlannedArm], *, sketches: int = 1) -> None:
    settings = MeasuringSettings(cka=False, cka_examples=0, bootstrap=0, sketches=sketches)
    write_record(paths.plan, make_study(arms, metrics=settings))


def measure(paths: StudyPaths, arms: list[PlannedArm], *, sketches: int = 1) -> dict[str, ArmMeasures]:
    plan(paths, arms, sketches=sketches)
    return {arm.name: arm for arm in arrays_study.measure(paths).arms}


def find_growth(paths: StudyPaths, arms: list[PlannedArm], name: str = "Bit") -> Growth:
    growth = measure(paths, arms)[name].growth
    assert growth is not None
    return growth


def make_control(paths: StudyPaths) -> PlannedArm:
    return make_arm("Control", [put(paths, replace(RECIPE, repeat=1), [0.0] * (EPOCHS + 1))])


def test_growth_is_that_of_the_distances_from_the_unmoved_run(paths: StudyPaths) -> None:
    runs = [put(paths, moved(seed), GROWING, wrong=6 * seed) for seed in (1, 2, 3)]
    control = make_control(paths)
    growth = find_growth(paths, [make_arm("Bit", runs, vary=("bit",)), control])
    assert (growth.twin, growth.runs, growth.start, growth.steps_per_epoch) == (control.runs[0], tuple(runs), 0, STEPS)
    assert [one.seed for one in growth.replicas] == [1, 2, 3]
    assert growth.size.value == pytest.approx(1e-6)
    assert growth.distance.value == pytest.approx(1e-2)
    assert growth.doubling_steps.value == pytest.approx(20 * np.log10(2))
    assert growth.saturation_step.value == pytest.approx(80)
    assert growth.grown == 3
    assert growth.steps == tuple(range(0, 130, 10))
    assert growth.mean == pytest.approx(GROWING)
    turned = LOGITS[0].argmax(1) != (-LOGITS[0]).argmax(1)
    shares = np.array([100 * np.count_nonzero(turned[: 6 * seed]) / len(LABELS) for seed in (1, 2, 3)])
    assert [one.disagreement for one in growth.replicas] == pytest.approx(list(shares))
    assert growth.disagreement.value == pytest.approx(shares.mean())
    assert growth.disagreement.interval == pytest.approx(stats.t.interval(0.95, 2, shares.mean(), stats.sem(shares)))


def test_a_late_bit_grows_from_its_onset(paths: StudyPaths) -> None:
    runs = [put(paths, moved(seed, recipe=LATE), [0.0] * 3 + [1e-4] * 10) for seed in (1, 2)]
    growth = find_growth(paths, [make_arm("Bit", runs, vary=("bit",)), make_control(paths)])
    assert growth.start == 2 * STEPS
    assert growth.steps == tuple(range(0, 110, 10))
    assert growth.mean == pytest.approx((1e-6, *[1e-4] * 10))


def test_replicas_without_sketches_are_left_out_and_said(paths: StudyPaths) -> None:
    runs = [put(paths, moved(1), GROWING), put(paths, moved(2), GROWING, sketches=False)]
    control = make_control(paths)
    arms = [make_arm("Bit", runs, vary=("bit",)), control]
    assert [one.run for one in find_growth(paths, arms).replicas] == runs[:1]
    arms[0] = make_arm("Bit", runs[1:], vary=("bit",))
    growth = find_growth(paths, arms)
    assert growth.replicas == ()
    assert growth.reason == "no replica has left sketches"
    bare = make_arm("Control", [put(paths, replace(RECIPE, repeat=2), [0.0] * (EPOCHS + 1), sketches=False)])
    assert "nothing was moved has left no" in (
        find_growth(paths, [make_arm("Bit", runs, vary=("bit",)), bare]).reason or ""
    )


def test_other_arms_and_studies_without_sketches_have_no_growth(paths: StudyPaths) -> None:
    runs = [put(paths, moved(1), GROWING)]
    arms = [make_arm("Bit", runs, vary=("bit",)), make_control(paths)]
    assert measure(paths, arms)["Control"].growth is None
    assert measure(paths, arms, sketches=0)["Bit"].growth is None
    assert measure(paths, arms[:1])["Bit"].growth is None, "nothing to compare with"


def test_growth_is_kept_while_the_runs_are_the_same(paths: StudyPaths) -> None:
    runs = [put(paths, moved(seed), GROWING) for seed in (1, 2)]
    arms = [make_arm("Bit", runs, vary=("bit",)), make_control(paths)]
    plan(paths, arms)
    content = arrays_study.measure(paths)
    growth = content.arms[0].growth
    assert growth is not None
    marked = msgspec.structs.replace(content.arms[0], growth=msgspec.structs.replace(growth, grown=77))
    again = arrays_study.measure(paths, msgspec.structs.replace(content, arms=(marked, *content.arms[1:])))
    assert again.arms[0].growth == marked.growth
    third = put(paths, moved(3), GROWING)
    arms[0] = make_arm("Bit", [*runs, third], vary=("bit",))
    plan(paths, arms)
    more = arrays_study.measure(paths, again).arms[0].growth
    assert more is not None
    assert more.grown == 3


@pytest.mark.parametrize(("exponent", "levels"), [(0.0, (0.1, 0.1, 0.1)), (1.0, (1e-4, 1e-3, 1e-2))])
def test_exponent_says_what_the_end_owes_to_the_size(
    paths: StudyPaths, exponent: float, levels: tuple[float, ...]
) -> None:
    arms = [make_control(paths)]
    for ulps, level in zip((10, 100, 1000), levels, strict=True):
        way = [1e-6 * ulps, *([level] * EPOCHS)]
        runs = [put(paths, moved(seed, ulps), way) for seed in (1, 2, 3)]
        arms.append(make_arm(f"{ulps} ulps", runs, vary=("bit",)))
    found = measure(paths, arms)
    response = found["10 ulps"].response
    assert response is not None
    assert response.arms == ("10 ulps", "100 ulps", "1000 ulps")
    assert response.exponent.value == pytest.approx(exponent, abs=1e-9)
    assert found["1000 ulps"].response == response
    assert found["Control"].response is None


def test_sizes_that_rounding_swallows_say_nothing(paths: StudyPaths) -> None:
    """The two smallest end where rounding carries them; what is larger than that is proportional."""
    arms = [make_control(paths)]
    ends = {1: 1e-4, 3: 1e-4, 10_000: 1e-3, 100_000: 1e-2, 1_000_000: 1e-1}
    for ulps, level in ends.items():
        runs = [put(paths, moved(seed, ulps), [1e-6 * ulps, *([level] * EPOCHS)]) for seed in (1, 2)]
        arms.append(make_arm(f"{ulps} ulps", runs, vary=("bit",)))
    response = measure(paths, arms)["1 ulps"].response
    assert response is not None
    assert response.above_floor
    assert len(response.arms) == 3
    assert response.exponent.value == pytest.approx(1)


def test_a_curve_has_the_steps_that_all_have_and_is_thinned() -> None:
    steps = np.arange(1000)
    ways = [Way(steps, np.full(1000, 1e-4)), Way(steps[::2], np.full(500, 1e-2))]
    at, mean, low, high = draw_curve(ways)
    assert len(at) == CURVE_POINTS
    assert (at[0], at[-1]) == (0, 998)
    assert mean == pytest.approx([1e-3] * CURVE_POINTS)
    assert (low, high) == (pytest.approx([1e-4] * CURVE_POINTS), pytest.approx([1e-2] * CURVE_POINTS))
    gaps = draw_curve([Way(np.arange(3), np.array([1e-6, 0.0, np.nan]))])
    assert gaps[1] == (pytest.approx(1e-6), None, None)
