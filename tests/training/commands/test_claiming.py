"""Which runs of a user's own program a worker claims: on which model of device, and with how much time left."""

from __future__ import annotations

import time
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest

from engine.dispatch import nvml
from engine.dispatch.cards import Card, Inventory
from engine.dispatch.devices import name_processor
from engine.dispatch.queue import NotTaken, RunQueue, Taken
from engine.errors import NondetError
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.study_plan import read_plan
from engine.training.commands import worker
from engine.training.commands.selftest import NOT_NEEDED
from engine.training.commands.settings import describe_attempt
from engine.training.commands.worker import CommandWorker
from engine.training.stopping import Requests
from engine.training.time_left import TimeLeft
from tests.helpers.own_programs import add_arm, prepare
from tests.helpers.records import make_attempt, make_result

SCRIPT = "pass"
"""The program, which no test here starts."""


def make_worker(paths: StudyPaths, *, model: str = "A100", time_left: TimeLeft | None = None) -> CommandWorker:
    record, requests, queue = make_attempt(device=model), Requests(paths), RunQueue(paths, "s")
    return CommandWorker(paths, "s", "cuda:0/0", requests, queue, record, time_left or TimeLeft.begin(None))


def test_program_stays_on_the_model_on_which_its_self_test_began(tmp_path: Path) -> None:
    paths = prepare(tmp_path, SCRIPT, "require_same_device = true\n" + add_arm("good", replicas=5))
    assert isinstance(make_worker(paths).claim(), Taken)
    assert make_worker(paths, model="H100").claim() is NotTaken.WAIT, "until the self-test has ended"
    with pytest.raises(NondetError, match="kept for A100"), patch.object(worker, "judge", lambda *_, **__: NOT_NEEDED):
        make_worker(paths, model="H100").claim()


def test_no_run_of_the_self_test_begins_that_could_not_end(tmp_path: Path) -> None:
    paths = prepare(tmp_path, SCRIPT, add_arm("good", replicas=5))
    first = read_plan(paths).order[0]
    paths.run(first).predictions.write_bytes(b"x")
    write_record(paths.run(first).result, make_result(run=first, seconds=100.0))
    late = TimeLeft(time.monotonic() - 900.0, 1000.0)
    assert make_worker(paths, time_left=late).claim() is NotTaken.NOTHING_LEFT
    assert isinstance(make_worker(paths).claim(), Taken)


def test_attempt_names_the_model_of_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = read_plan(prepare(tmp_path, SCRIPT, add_arm("good")))
    assert describe_attempt(plan, "s", "cpu:0").model == name_processor()
    cards = (Card("GPU-1", "NVIDIA A100", 0), Card("GPU-2", "NVIDIA H100", 1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.setattr(nvml, "take_inventory", lambda: Inventory(cards))
    on_gpu = msgspec.structs.replace(plan, device="cuda")
    assert describe_attempt(on_gpu, "s", "cuda:0/0").model == "NVIDIA H100"
    monkeypatch.setattr(nvml, "take_inventory", lambda: Inventory(failure="no driver"))
    assert describe_attempt(on_gpu, "s", "cuda:0/0").model is None, "1 is no model"
