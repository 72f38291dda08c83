"""Executors: every name has one, and a second one trains a study through the same supervisor."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from engine.catalog.executors import EXECUTORS
from engine.dispatch.executors.base import WorkerRequest
from engine.dispatch.executors.registry import OPENERS, open_executor
from engine.dispatch.launch import plan_protocol, prepare_study
from engine.dispatch.supervisor import supervise
from engine.errors import NondetError
from engine.protocol.load import parse_protocol
from engine.study.view import StudyView
from engine.tuning.choice import decide
from tests.helpers.json_files import read_json

sys.path.insert(0, str(Path(__file__).parent))

from queued_executor import NEVER, QueuedExecutor


def test_every_executor_that_a_protocol_may_name_is_there() -> None:
    assert set(OPENERS) == set(EXECUTORS)


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> QueuedExecutor:
    executor = QueuedExecutor()
    monkeypatch.setitem(OPENERS, "queued", executor.open)
    for name in ("OMP_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return executor


@pytest.fixture
def own_signals() -> Iterator[None]:
    """The supervisor sets them for a process of its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.slow
@pytest.mark.usefixtures("own_signals")
@pytest.mark.timeout(300)
def test_study_is_tried_out_trained_and_measured_by_another_executor(
    queued: QueuedExecutor, protocol_text: str, tmp_path: Path
) -> None:
    """Although one worker is killed with its claim, and one place never comes."""
    parsed = parse_protocol(
        protocol_text.replace('"linear"', '"resnet6"\nwidth = 0.25'),
        file=str(tmp_path / "tiny.toml"),
        overrides=("metrics.cka=true", "metrics.cka_examples=16", "train.epochs=12"),
    )
    protocol = replace(parsed, dispatch=replace(parsed.dispatch, executor="queued"))
    decided = decide(protocol, store=None, timed=False)
    assert decided.notes == ("nodes of partition test",)
    assert decided.count_slots(protocol) == 3
    paths = prepare_study(protocol, decided.plan, store=None, chosen=decided.chosen)
    assert supervise(paths) == 0
    seen = StudyView(paths).refresh()
    assert seen.counts == {"done": len(seen.runs)}
    assert (read_json(paths.supervisor) or {})["state"] == "finished"
    assert queued.jobs[0] == "probe"
    assert "similarity" in queued.jobs
    assert paths.cka.is_file()
    assert queued.jobs.count("engine.metrics") >= 2
    first, *later = [worker for place, worker in queued.workers if place == "node-a"]
    assert first.status == -signal.SIGKILL
    assert later, "the place of a killed worker is filled again"
    pending = [worker for place, worker in queued.workers if place == NEVER]
    assert [worker.process for worker in pending] == [None]
    attempts = [json.loads(path.read_text()) for path in paths.runs.glob("*/attempts/*/attempt.json")]
    assert 0 <= len(attempts) - len(seen.runs) <= 1, "no run but the killed worker's was claimed twice"
    for attempt in attempts:
        assert attempt["environment"]["OMP_NUM_THREADS"] == "1", "which the executor knows nothing of"
        assert attempt["environment"]["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.slow
@pytest.mark.usefixtures("own_signals")
def test_executor_that_refuses_for_good_ends_the_study_in_its_own_words(
    queued: QueuedExecutor, protocol_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(place: str, request: WorkerRequest) -> NoReturn:
        raise NondetError(f"{place}: no such partition")

    monkeypatch.setattr(queued, "start_worker", refuse)
    parsed = parse_protocol(protocol_text, file=str(tmp_path / "tiny.toml"))
    protocol = replace(parsed, dispatch=replace(parsed.dispatch, executor="queued"))
    paths = prepare_study(protocol, plan_protocol(protocol), store=None)
    assert supervise(paths) == 0
    record = read_json(paths.supervisor) or {}
    assert (record["state"], record["failure"]) == ("stopped", "node-a: no such partition")


def test_local_places_are_the_slots(protocol_text: str) -> None:
    protocol = parse_protocol(
        protocol_text, file="tiny.toml", overrides=("dispatch.devices=cpu", "dispatch.slots_per_device=3")
    )
    executor = open_executor(protocol.dispatch)
    assert protocol.dispatch.executor == "local"
    assert executor.device == "cpu"
    assert list(executor.places) == ["cpu:0", "cpu:1", "cpu:2"]
    assert executor.most_slots == len(os.sched_getaffinity(0))
