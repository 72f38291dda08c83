"""What a worker claims to train side by side, and what it leaves of each run, where some end before their time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.dispatch.launch import plan_protocol, prepare_study
from engine.dispatch.queue import NotTaken, RunQueue
from engine.errors import ModelError
from engine.protocol.load import parse_protocol
from engine.study.control import read_control, request
from engine.study.epochs import read_epochs
from engine.study.opening import is_there
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_records import ExitRecord
from engine.study.run_state import read_state
from engine.study.study_plan import read_plan
from engine.training import worker
from engine.training.checkpoint import load_checkpoint
from engine.training.data.batches import Batch
from engine.training.room import reduce_for_retry
from engine.training.run_files import Claimed, describe_attempt
from engine.training.stopping import Requests, Stopped
from engine.training.tasks.images import ImageTask

ARM = """
[[arm]]
name = "Bit"
vary = ["bit"]
"""

LATE = """
[[arm]]
name = "Late"
vary = ["shuffle"]
onset = 1
replicas = 3
"""

Make = Callable[..., StudyPaths]


@pytest.fixture
def make_study(protocol_text: str, tmp_path: Path) -> Make:
    """Arms of two runs each, or three arms: four runs that differ in seeds and bits alone, and a repetition."""

    def make(name: str, arms: str = "") -> StudyPaths:
        settings = ("dispatch.devices=cpu", "dispatch.checkpoint_s=0", f"protocol.name={name}")
        text = protocol_text[: protocol_text.index("[[arm]]")] + arms if arms else protocol_text + ARM
        protocol = parse_protocol(text, file=str(tmp_path / "tiny.toml"), overrides=settings)
        return prepare_study(protocol, plan_protocol(protocol), store=None)

    return make


@pytest.fixture
def study(make_study: Make) -> StudyPaths:
    return make_study("tiny")


class Bench:
    """Claims runs and trains them as a worker does."""

    def __init__(self, paths: StudyPaths, session: str = "now") -> None:
        self.paths, self.session = paths, session
        self.record = describe_attempt(session, "cpu:0")
        self.plan = read_plan(paths)
        self.requests = Requests(paths)

    def claim(self, wanted: Any = None) -> Claimed | NotTaken:
        queue = RunQueue(self.paths, self.session)
        control = read_control(self.paths)
        found = queue.claim_next(self.plan, control=control, record=self.record, wanted=wanted)
        return found if isinstance(found, NotTaken) else Claimed(self.paths, self.plan, found.run_id, found.attempt)

    def train(self) -> tuple[Claimed, int | None]:
        """Train what is claimed next with its companions."""
        claimed = self.claim()
        assert isinstance(claimed, Claimed)
        return claimed, worker._train_claimed(claimed, self.requests, worker.Kept(self.session), self.claim)

    def done(self) -> list[str]:
        return [run_id for run_id in self.plan.order if is_there(self.paths.run(run_id).result)]

    def ends(self) -> dict[str, ExitRecord]:
        """How the attempts ended that left no result."""
        found = {run_id: list(self.paths.run(run_id).list_attempts()) for run_id in self.plan.order}
        records = {run_id: find_record(tried[-1].exit, ExitRecord) for run_id, tried in found.items() if tried}
        return {run_id: record for run_id, record in records.items() if record is not None}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has a worker train some runs side by side on a CPU."""

    def set_count(count: int) -> None:
        monkeypatch.setattr(worker, "count_side_by_side", lambda *_, **__: count)

    return set_count


def read_done(bench: Bench) -> dict[str, tuple[bytes, bytes]]:
    runs = [bench.paths.run(run_id) for run_id in bench.done()]
    return {run.folder.name: (run.predictions.read_bytes(), run.model.read_bytes()) for run in runs}


def during(monkeypatch: pytest.MonkeyPatch, act: Callable[[ImageTask, int, int], None]) -> None:
    """Has something happen before each step of each run."""
    take = ImageTask.take_step

    def step(task: ImageTask, epoch: int, number: int) -> None:
        act(task, epoch, number)
        take(task, epoch, number)

    monkeypatch.setattr(ImageTask, "take_step", step)


def test_worker_trains_arms_side_by_side_with_the_bits_of_runs_alone(
    make_study: Make, at_once: Callable[[int], None]
) -> None:
    together, apart = Bench(make_study("together")), Bench(make_study("apart"))
    at_once(3)
    head, status = together.train()
    assert status is None
    assert len(together.done()) == 3, "of more than one arm"
    log = together.paths.run(together.plan.order[1]).list_attempts()[0].log.read_text()
    assert f"side by side with run {head.run_id}" in log
    at_once(1)
    for _ in range(3):
        apart.train()
    assert apart.done() == together.done()
    assert read_done(together) == read_done(apart)


def test_memory_of_runs_side_by_side_is_free_for_the_next_ones(
    study: StudyPaths, at_once: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task and its steps refer to each other, so they stay until Python looks for such, which may take long."""
    at_once(2)
    seen: dict[int, weakref.ref[ImageTask]] = {}

    def note(task: ImageTask, epoch: int, step: int) -> None:
        seen[id(task)] = weakref.ref(task)

    during(monkeypatch, note)
    gc.disable()
    try:
        Bench(study).train()
        assert len(seen) == 2
        assert [one() for one in seen.values()] == [None, None]
    finally:
        gc.enable()


def test_one_that_fails_is_told_at_once_and_the_others_are_done(
    study: StudyPaths, at_once: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(3)
    bench, seen = Bench(study), []

    def fail(task: ImageTask, epoch: int, step: int) -> None:
        if task.recipe.id == bench.plan.order[1]:
            raise RuntimeError("its own fault")
        seen.append([one.reason for one in bench.ends().values()])

    during(monkeypatch, fail)
    _, status = bench.train()
    assert status is None, "the process goes on"
    assert seen[-1] == ["RuntimeError: its own fault"], "written while the others were trained"
    assert bench.done() == [bench.plan.order[0], bench.plan.order[2]]
    state = read_state(study.run(bench.plan.order[1]), control=read_control(study), session="now", run_id="")
    assert not state.retriable


@pytest.mark.parametrize("verb", ["cancel", "pause"])
def test_one_that_is_stopped_leaves_and_may_go_on_from_its_checkpoint(
    verb: Any, study: StudyPaths, at_once: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(2)
    bench, steps = Bench(study), []
    left = bench.plan.order[1]

    def stop(task: ImageTask, epoch: int, step: int) -> None:
        steps.append((task.recipe.id, epoch, step))
        if (epoch, step) == (2, 0) and task.recipe.id != left:
            request(study, verb, runs=[left])
            bench.requests.read_at = -1e9  # as half a second later

    during(monkeypatch, stop)
    bench.train()
    assert bench.done() == [bench.plan.order[0]]
    assert bench.ends()[left].outcome == "cancelled"
    assert (left, 2, 1) not in steps
    (attempt,) = study.run(left).list_attempts()
    checkpoint = load_checkpoint(attempt.checkpoint, recipe_id=left)
    assert checkpoint is not None
    assert checkpoint.epoch == 1
    request(study, "resume", runs=[left])
    bench.requests.read_at = -1e9
    at_once(1)
    claimed = bench.claim([left])
    assert isinstance(claimed, Claimed)
    worker._train_claimed(claimed, bench.requests, worker.Kept("now"), bench.claim)
    assert left in bench.done()


def test_one_that_goes_on_elsewhere_takes_no_other_with_it(
    study: StudyPaths, at_once: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of them is stopped, and resumed in another process, which makes an attempt after this one."""
    at_once(2)
    bench = Bench(study)
    head, other = bench.plan.order[:2]

    def resume(task: ImageTask, epoch: int, step: int) -> None:
        if task.recipe.id == other and (epoch, step) == (1, 0):
            request(study, "cancel", runs=[head])
        if task.recipe.id == other and (epoch, step) == (2, 0):
            study.run(head).attempt(2).folder.mkdir()
        bench.requests.read_at = -1e9  # as half a second later

    during(monkeypatch, resume)
    _, status = bench.train()
    assert status is None, "the process goes on"
    ended = find_record(study.run(head).attempt(1).exit, ExitRecord)
    assert ended is not None
    assert ended.outcome == "cancelled"
    assert bench.done() == [other]


def test_damaged_recipe_of_another_run_fails_that_run_alone(study: StudyPaths, at_once: Callable[[int], None]) -> None:
    at_once(2)
    bench = Bench(study)
    first, damaged, third = bench.plan.order[:3]
    study.run(damaged).spec.write_bytes(b"{")
    bench.train()
    assert not bench.ends()
    assert bench.done() == [first, third]


def test_a_run_that_was_stopped_is_trained_with_others_from_their_common_beginning(
    make_study: Make, at_once: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own checkpoint is of the epoch whose end it has left for the others, which have none of their own."""
    at_once(1)
    bench = Bench(make_study("late", LATE))
    _, stopped, other = bench.plan.order
    bench.train()  # what is not varied

    def stop(task: ImageTask, batch: Batch, epoch: int, step: int) -> torch.Tensor:
        if (epoch, step) == (2, 0):
            request(bench.paths, "cancel", runs=[stopped])
            bench.requests.read_at = -1e9  # as half a second later
        return take(task, batch, epoch, step)

    take = ImageTask.train_step
    with monkeypatch.context() as patched:
        patched.setattr(ImageTask, "train_step", stop)
        bench.train()
    request(bench.paths, "resume", runs=[stopped])
    bench.requests.read_at = -1e9
    at_once(2)
    bench.train()
    assert bench.done() == list(bench.plan.order)
    log = bench.paths.run(other).attempt(1).log.read_text()
    assert f"side by side with run {stopped}" in log


def test_epochs_are_counted_while_any_run_is_trained(
    study: StudyPaths, at_once: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(2)
    bench, descend = Bench(study), ImageTask.descend

    def blow_up(task: ImageTask, *given: Any) -> torch.Tensor:
        return descend(task, *given) * (float("nan") if task.recipe.id == bench.plan.order[0] else 1.0)

    monkeypatch.setattr(ImageTask, "descend", blow_up)
    bench.train()
    assert bench.requests.pulse is not None
    epochs = [len(read_epochs(study.run(run_id).attempt(1).epochs).records) for run_id in bench.plan.order[:2]]
    assert epochs[0] == 1, "the first diverges"
    assert bench.requests.pulse.epochs == epochs[1] > 1


@pytest.mark.parametrize("error", [Stopped(), ModelError("no such layer"), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("spent", [True, False])
def test_process_in_which_a_recording_failed_claims_no_other_run(
    study: StudyPaths,
    at_once: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    spent: bool,
) -> None:
    def end(*_: Any) -> None:
        raise error

    at_once(1)
    monkeypatch.setattr(worker, "train_cohort", end)
    monkeypatch.setattr(worker, "is_spent", lambda: spent)
    _, status = Bench(study).train()
    assert status == (0 if spent else None)


def test_lack_of_memory_is_tried_again_with_fewer_and_at_last_alone(
    study: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def count(claimed: Claimed, *_: Any, session: str, **__: Any) -> int:
        return reduce_for_retry(4, claimed.count_retries(session))

    def run_out(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(worker, "count_side_by_side", count)
    monkeypatch.setattr(ImageTask, "descend", run_out)
    bench = Bench(study)
    while True:
        before = len(list(study.runs.glob("*/attempts/*/exit.json")))
        claimed = bench.claim()
        if not isinstance(claimed, Claimed):
            break
        assert worker._train_claimed(claimed, bench.requests, worker.Kept("now"), bench.claim) is None
        sizes.append(len(list(study.runs.glob("*/attempts/*/exit.json"))) - before)
    assert sizes[:1] == [4]
    assert sorted(sizes, reverse=True)[:3] == [4, 2, 2], sizes
    assert set(sizes) == {4, 2, 1}
    first = study.run(bench.plan.order[0]).list_attempts()
    reasons = [end.reason for end in (find_record(one.exit, ExitRecord) for one in first) if end is not None]
    assert "4 runs side by side do not fit: they are tried again with fewer" in reasons[0]
    assert "use a smaller train.batch_size" in reasons[2]


def test_each_retry_halves_how_many_are_trained_at_once() -> None:
    assert [reduce_for_retry(8, tries) for tries in range(4)] == [8, 4, 1, 1]
    assert reduce_for_retry(1, 0) == reduce_for_retry(1, 1) == 1
