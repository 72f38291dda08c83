"""An arm stays on one model of device: runs that are tied together do, and a worker on another model takes others."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.dispatch import one_model
from engine.dispatch.one_model import OneModel, claim_on_model, tie_runs
from engine.dispatch.queue import NotTaken, RunQueue, Taken
from engine.errors import NondetError
from engine.plan.records import SelfTest
from engine.study.control import Control
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import find_record, write_record
from engine.study.run_records import DeviceRecord
from engine.study.study_plan import StudyPlan
from tests.helpers.records import make_arm, make_attempt, make_study

TWO = [make_arm("A", ["a1", "a2"]), make_arm("B", ["b1", "b2"])]


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    made = StudyPaths(tmp_path / "study")
    for run in ("a1", "a2", "b1", "b2"):
        make_folder(made.run(run).folder)
    return made


def make_plan() -> StudyPlan:
    plan = make_study(TWO)
    return make_study(TWO, dispatch=msgspec.structs.replace(plan.dispatch, require_same_device=True))


def claim(paths: StudyPaths, plan: StudyPlan, device: str, *, alone: bool = True) -> str | NotTaken:
    taken = claim_on_model(
        RunQueue(paths, "s"), plan, control=Control(), record=make_attempt(device=device), alone=alone
    )
    return taken.run_id if isinstance(taken, Taken) else taken


@pytest.mark.parametrize(
    ("changes", "tied"),
    [
        ({}, {"a1": "a1", "a2": "a1", "b1": "b1", "b2": "b1"}),
        ({"forks": {"a2": ("p", 3), "b2": ("p", 5)}}, dict.fromkeys(("a1", "a2", "b1", "b2"), "a1")),
        ({"reuses": {"b2": "a1"}}, dict.fromkeys(("a1", "a2", "b1", "b2"), "a1")),
        (
            {"selftest": SelfTest(control=("a1", "b1"), sources={})},
            dict.fromkeys(("a1", "a2", "b1", "b2"), "a1"),
        ),
    ],
)
def test_what_is_compared_or_goes_on_from_each_other_is_tied(changes: dict[str, object], tied: dict[str, str]) -> None:
    assert tie_runs(make_study(TWO, **changes)) == tied


def test_shared_runs_tie_arms_however_they_are_listed() -> None:
    chain = [make_arm("C", ["c", "x"]), make_arm("D", ["d", "y"]), make_arm("E", ["x", "y"]), make_arm("F", ["f"])]
    assert tie_runs(make_study(chain)) == {"c": "c", "x": "c", "d": "c", "y": "c", "f": "f"}


def test_each_model_takes_an_arm_and_ends_where_the_others_are_left(paths: StudyPaths) -> None:
    plan = make_plan()
    assert [claim(paths, plan, model) for model in ("A100", "H100", "A100")] == ["a1", "b1", "a2"]
    with pytest.raises(NondetError, match=r"kept for H100, and .* has A100.* ask for the same model"):
        claim(paths, plan, "A100")
    assert claim(paths, plan, "A100", alone=False) is NotTaken.NOTHING_LEFT, "one more beside others"
    assert claim(paths, plan, "H100") == "b2"
    assert claim(paths, plan, "H100") is NotTaken.NOTHING_LEFT


def test_without_the_setting_any_model_takes_any_run(paths: StudyPaths) -> None:
    plan = make_study(TWO)
    assert [claim(paths, plan, model) for model in ("A100", "H100", "V100")] == ["a1", "a2", "b1"]
    assert not paths.run("a1").device.exists()


def test_arm_stays_on_the_model_of_what_was_trained_before(paths: StudyPaths) -> None:
    """As where the setting comes after the first runs; numbers of GPUs, which earlier versions wrote, are no models."""
    for run, device in (("a1", "0"), ("a2", "A100")):
        make_folder(paths.run(run).attempt(1).folder)
        write_record(paths.run(run).attempt(1).attempt, make_attempt(device=device))
    assert not OneModel(paths, make_plan(), "H100").allows("a1")
    assert find_record(paths.run("a1").device, DeviceRecord) == DeviceRecord(device="A100")


def test_study_that_an_earlier_version_kept_on_one_model_stays_on_it(paths: StudyPaths) -> None:
    write_record(paths.device, DeviceRecord(device="V100"))
    models = OneModel(paths, make_plan(), "H100")
    assert (models.allows("a1"), models.allows("b1")) == (False, False)


def test_of_two_models_that_begin_at_once_one_has_the_arm(paths: StudyPaths) -> None:
    ours, theirs = OneModel(paths, make_plan(), "A100"), OneModel(paths, make_plan(), "H100")
    assert (ours.allows("a1"), theirs.allows("a2"), ours.allows("a2")) == (True, False, True)


def test_file_of_a_worker_that_was_killed_while_it_wrote_is_written_anew(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_model, "WRITING_S", 0.05)
    paths.run("a1").device.touch()
    assert OneModel(paths, make_plan(), "A100").allows("a2")
    assert find_record(paths.run("a1").device, DeviceRecord) == DeviceRecord(device="A100")
