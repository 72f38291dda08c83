"""A worker whose time is limited starts no run that could not end, and a device that is not the study's trains none."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.dispatch.launch import plan_protocol, prepare_study
from engine.errors import NondetError
from engine.protocol.load import parse_protocol
from engine.recipe import BitChange, Onset, Recipe
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.study_plan import StudyPlan, read_plan
from engine.training.time_left import RESERVE, TimeLeft, may_be_cut
from engine.training.worker import require_device
from tests.helpers.records import make_result

LONGEST_S = 100.0


@pytest.fixture
def study(protocol_text: str, tmp_path: Path) -> tuple[StudyPaths, StudyPlan]:
    """A study of which one run is done, that took a hundred seconds."""
    overrides = ("dispatch.devices=cpu", "dispatch.checkpoint_s=10")
    protocol = parse_protocol(protocol_text, file=str(tmp_path / "tiny.toml"), overrides=overrides)
    paths = prepare_study(protocol, plan_protocol(protocol), store=None)
    plan = read_plan(paths)
    done = paths.run(plan.order[0])
    done.predictions.write_bytes(b"x")
    write_record(done.result, make_result(run=plan.order[0], seconds=LONGEST_S))
    return paths, plan


def wait(limit_s: float | None, *, left_s: float) -> TimeLeft:
    """What a worker has left that began long enough ago."""
    began = time.monotonic() - (0.0 if limit_s is None else limit_s - left_s)
    return TimeLeft(began, limit_s)


def test_worker_without_a_limit_may_start_everything(study: tuple[StudyPaths, StudyPlan]) -> None:
    assert wait(None, left_s=0.0).choose(*study) is None


@pytest.mark.parametrize(
    ("left_s", "some"), [(RESERVE * LONGEST_S + 5, None), (RESERVE * LONGEST_S - 5, True), (25.0, True), (15.0, False)]
)
def test_with_little_time_left_only_runs_that_can_be_cut_are_started(
    study: tuple[StudyPaths, StudyPlan], left_s: float, some: bool | None
) -> None:
    paths, plan = study
    chosen = wait(10_000.0, left_s=left_s).choose(paths, plan)
    assert chosen == (None if some is None else list(plan.order) if some else ())


def test_fresh_worker_tries_a_run_that_is_longer_than_any_job(study: tuple[StudyPaths, StudyPlan]) -> None:
    assert wait(LONGEST_S / 2, left_s=LONGEST_S / 2).choose(*study) is None


def test_runs_with_free_kernels_or_a_bit_that_moved_late_cannot_be_cut(base: Recipe) -> None:
    moved = replace(base, bit=BitChange(seed=1))
    assert may_be_cut(base)
    assert may_be_cut(moved)
    assert not may_be_cut(replace(base, lowlevel="kernels"))
    assert not may_be_cut(replace(moved, onset=Onset(epoch=1, seeds=base.seeds, lowlevel="order")))


def test_run_for_a_gpu_is_claimed_by_no_machine_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    require_device("cpu")
    with pytest.raises(NondetError, match="torch finds no GPU on"):
        require_device("cuda")
