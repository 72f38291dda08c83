"""How long a protocol takes, from epochs that were timed once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.plan.plan import Plan
from engine.tuning.probe import ProbeFacts
from tests.helpers.studies import SMALL
from tui.app.estimate import Timing, estimate, find_workload, list_workloads, may_time_unasked, time_plan
from tui.app.preview import preview_plan
from tui.app.previewed import describe_work
from tui.app.screens.builder_plan import describe_time
from tui.app.screens.judgement import Judgement, judge
from tui.commands.check import estimate_run_s

TEXT = (
    SMALL
    + """\
slots_per_device = 2
[[arm]]
name = "A"
vary = ["init"]
[[arm]]
name = "B"
vary = ["bit"]
model = { preset = "hidden-fc" }
"""
)


def read(text: str, folder: Path) -> tuple[Judgement, Plan]:
    judged = judge(text, str(folder / "small.toml"), folder / "store")
    assert judged.plan is not None
    return judged, judged.plan


def make_facts(model: str, seconds: float) -> ProbeFacts:
    return ProbeFacts(
        arms=(), runs=(), model=model, data="digits", parameters=650, seconds_per_epoch=seconds, seconds_guess=1.0,
        seconds_load=1.0, memory_bytes=1, slot_invariant=None, size_invariant=None,
        input_shape=(1, 8, 8), train_examples=1000, test_examples=797, classes=10, stochastic=False,
    )  # fmt: skip


def time_both(plan: Plan, *seconds: float) -> Timing:
    facts = {load: make_facts("m", took) for load, took in zip(list_workloads(plan), seconds, strict=True)}
    return Timing(facts)


@pytest.mark.parametrize("pack_size", [None, 4])
def test_run_of_users_code_loads_the_data_in_its_own_process(tmp_path: Path, pack_size: int | None) -> None:
    """Six epochs of 0.5 s, and a second of loading that runs of presets share."""
    _, plan = read(TEXT, tmp_path)
    fact = msgspec.structs.replace(make_facts("m", 0.5), pack_size=pack_size)
    run, recipe = next(iter(plan.recipes.items()))
    assert estimate_run_s(plan, fact, run) == 6 * 0.5
    own = replace(recipe, model=replace(recipe.model, preset=None, target="nets:build"))
    assert estimate_run_s(replace(plan, recipes={run: own}), fact, run) == 6 * 0.5 + 1 / (pack_size or 1)


def test_time_is_what_the_runs_left_take_on_all_slots(tmp_path: Path) -> None:
    judged, plan = read(TEXT, tmp_path)
    assert judged.protocol is not None
    preview = preview_plan(judged.protocol, plan, tmp_path)
    found = estimate(plan, preview, time_both(plan, 0.5, 2.0))
    assert found is not None
    assert found.seconds == 4 * 6 * (0.5 + 2.0) / 2
    assert found.by_arm == {"A": 4 * 6 * 0.5 / 2, "B": 4 * 6 * 2.0 / 2}
    one = 4 * (650 + 797 * 10) + 200 * 6 + 4000
    assert found.disk == 8 * one
    half = estimate(plan, replace(preview, finished=frozenset(list(plan.recipes)[:6])), time_both(plan, 0.5, 2.0))
    assert half is not None
    assert half.disk == 2 * one
    assert half.by_arm == found.by_arm


@pytest.mark.parametrize(
    ("change", "known"),
    [
        (("epochs = 6", "epochs = 60"), True),
        (("replicas = 4", "replicas = 40"), True),
        (("warmup_epochs = 1", "warmup_epochs = 1\nlr = 0.1"), True),
        (('vary = ["init"]', 'vary = ["init", "shuffle"]'), True),
        (("warmup_epochs = 1", "warmup_epochs = 1\nbatch_size = 10"), False),
        (("warmup_epochs = 1", 'warmup_epochs = 1\noptimizer = "adam"'), False),
        (('"linear"', '"hidden-conv"'), False),
        (('"digits"', '"mnist1d"'), False),
    ],
)
def test_only_what_changes_an_epoch_is_timed_again(tmp_path: Path, change: tuple[str, str], known: bool) -> None:
    judged, plan = read(TEXT, tmp_path)
    timing = time_both(plan, 0.5, 2.0)
    judged, other = read(TEXT.replace(*change), tmp_path)
    assert judged.protocol is not None
    assert timing.lacks(other) is not known
    assert (estimate(other, preview_plan(judged.protocol, other, tmp_path), timing) is not None) is known


def test_what_failed_is_not_tried_again_until_it_is_another(tmp_path: Path) -> None:
    _, plan = read(TEXT, tmp_path)
    failed = Timing(failures={find_workload(next(iter(plan.recipes.values()))): ("no torch",)})
    assert failed.explain_failure(plan) == ("no torch",)
    assert failed.lacks(plan), "the other workload was not tried"
    both = failed.extend(time_both(plan, 1.0, 1.0))
    assert both.explain_failure(plan) == ()
    assert not both.lacks(plan)


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        (("", ""), True),
        (('preset = "linear"', 'target = "nets:make"'), False),
        (('preset = "digits"', 'preset = "cifar10"\nroot = "nowhere"'), False),
        (('preset = "digits"', 'target = "nets:load"'), False),
        (("slots_per_device = 2", 'pack = "auto"'), False),
    ],
)
def test_code_data_and_trials_are_not_begun_unasked(tmp_path: Path, change: tuple[str, str], allowed: bool) -> None:
    (tmp_path / "nets.py").write_text("")
    judged, plan = read(TEXT.replace(*change, 1) if change[0] else TEXT, tmp_path)
    assert judged.protocol is not None
    assert may_time_unasked(judged.protocol, preview_plan(judged.protocol, plan, tmp_path)) is allowed


@pytest.mark.slow
def test_an_epoch_is_timed_in_a_process_of_its_own(tmp_path: Path) -> None:
    judged, plan = read(TEXT.split('[[arm]]\nname = "B"', maxsplit=1)[0], tmp_path)
    assert judged.protocol is not None
    timing = time_plan(judged.protocol, plan, tmp_path, choose=False)
    assert not timing.lacks(plan)
    found = estimate(plan, preview_plan(judged.protocol, plan, tmp_path), timing)
    assert found is not None
    assert found.seconds > 0


@pytest.mark.slow
def test_why_nothing_could_be_timed_is_said(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("raise RuntimeError('no such layer')")
    judged, plan = read(TEXT.replace('preset = "linear"', 'target = "nets:make"'), tmp_path)
    assert judged.protocol is not None
    timing = time_plan(judged.protocol, plan, tmp_path, choose=True)
    assert "no such layer" in " ".join(timing.explain_failure(plan))
    assert not timing.lacks(plan), "and it is not tried again by itself"


AUTO = TEXT.replace("slots_per_device = 2\n", "")


def test_slots_that_auto_has_still_to_choose_are_not_counted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(4)))
    judged, plan = read(AUTO, tmp_path)
    assert judged.protocol is not None
    preview, timing = preview_plan(judged.protocol, plan, tmp_path), time_both(plan, 0.5, 2.0)
    assert preview.counts == (1, 4)
    assert "on 1 to 4 slots, as auto chooses" in "\n".join(describe_work(preview))
    found = estimate(plan, preview, timing)
    assert found is not None
    assert found.seconds == 4 * 6 * (0.5 + 2.0), "with one slot"
    assert describe_time(found).startswith("at most about")
    chosen = timing.extend(Timing(places={preview.devices: ("cpu:0", "cpu:1")})).settle(preview)
    assert "on 2 slots (cpu:0, cpu:1)" in "\n".join(describe_work(chosen))
    settled = estimate(plan, chosen, timing)
    assert settled is not None
    assert settled.seconds == found.seconds / 2
    assert describe_time(settled).startswith("about")


@pytest.mark.parametrize("pack", ["1", "2"])
def test_epoch_of_compiled_kernels_is_another_one(tmp_path: Path, pack: str) -> None:
    plain, compiled = (
        list_workloads(read(TEXT.replace("slots_per_device = 2", f"pack = {pack}\n{line}"), tmp_path)[1])
        for line in ("", "compile = true\n")
    )
    assert not set(plain) & set(compiled)
    assert {load.compiled for load in compiled} == {True}
    assert {load.compiled for load in plain} == {False}
