"""Places: filled until workers end for nothing, emptied by asking first and killing later."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from engine.dispatch import supervisor
from engine.dispatch.executors.base import JobOutput, WorkerRequest, WorkerState
from engine.dispatch.jobs import EXIT_STORE_FULL, Job
from engine.dispatch.launch import plan_protocol, prepare_study
from engine.dispatch.places import MAX_FRUITLESS, Place
from engine.dispatch.supervisor import Measuring, Supervisor
from engine.dispatch.visible import Gpu
from engine.protocol.load import parse_protocol
from engine.recipe import DeviceType
from engine.study.beats import CLOCK, LOST_S, BeatRecord, write_beat
from engine.study.control import request
from engine.study.logs import LOG_BYTES
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.processes import current_owner
from engine.study.records import write_record
from engine.study.run_records import AttemptRecord
from engine.study.supervisor_record import is_supervised
from engine.study.view import StudyView
from tests.helpers.records import make_supervisor


@dataclass
class Scripted:
    """A worker that ends when it is told to: by the test, by being asked, or only by being killed."""

    stubborn: bool = False
    status: int | None = None
    state: WorkerState = field(default_factory=lambda: WorkerState("training"))
    stops: list[bool] = field(default_factory=list)
    obstacle: str | None = None

    def poll(self) -> int | None:
        return self.status

    def stop(self, *, at_once: bool = False) -> None:
        self.stops.append(at_once)
        if at_once or not self.stubborn:
            self.status = -9 if at_once else -15

    def describe(self) -> WorkerState:
        return self.state

    def end_silent(self, training: Collection[int]) -> str | None:
        return None


@dataclass
class Staff:
    """An executor whose workers do what the test says."""

    device: DeviceType = "cpu"
    places: Sequence[str] = ("a", "b", "c")
    most_slots: int = 1
    notes: Sequence[str] = ()
    gpus: Sequence[Gpu] = ()

    def start_worker(self, place: str, request: WorkerRequest) -> Scripted:
        return Scripted()

    def judge(self, attempts: Mapping[AttemptPaths, AttemptRecord]) -> Mapping[AttemptPaths, str]:
        return {}

    def end_attempt(self, record: AttemptRecord) -> None:
        pass

    def describe_submission(self, paths: StudyPaths) -> str | None:
        return None

    def start_job(self, job: Job) -> Scripted:
        return Scripted(status=0)

    def run_job(self, job: Job, text: str) -> JobOutput:
        return JobOutput(0, "", "")


REQUEST = WorkerRequest(StudyPaths(Path("/nowhere")), "s")


def end(place: Place, executor: Staff, status: int, *, attempts: int = 0) -> None:
    """Fill the place when the study has no attempts, and end its worker when it has some."""
    place.fill(executor, REQUEST, 0)
    assert isinstance(place.worker, Scripted)
    place.worker.status = status
    assert place.reap(attempts) == status


def test_place_is_given_up_after_workers_that_ended_in_a_row_without_a_claim() -> None:
    place, executor = Place("a"), Staff()
    for number in range(MAX_FRUITLESS - 1):
        end(place, executor, 1)
        assert (place.fruitless, place.given_up) == (number + 1, False)
    end(place, executor, 1, attempts=1)
    assert place.fruitless == 0, "that one had claimed a run"
    for _ in range(MAX_FRUITLESS):
        end(place, executor, 2)
    assert place.given_up
    assert place.describe().state == "given up"
    assert "last exit status 2" in (place.describe().message or "")


def test_worker_that_still_waits_is_dismissed_without_blame() -> None:
    place, executor = Place("a"), Staff()
    place.fill(executor, REQUEST, 0)
    worker = place.worker
    assert isinstance(worker, Scripted)
    place.dismiss_waiting()
    assert worker.stops == [], "it trains"
    worker.state = WorkerState("waiting", "the partition is full")
    assert (place.describe().state, place.describe().message) == ("waiting", "the partition is full")
    place.dismiss_waiting()
    place.dismiss_waiting()
    assert worker.stops == [False]
    assert place.reap(0) == -15
    assert (place.fruitless, place.describe().state) == (0, "idle")


@pytest.fixture
def supervised(protocol_text: str, tmp_path: Path) -> Supervisor:
    protocol = parse_protocol(protocol_text, file=str(tmp_path / "tiny.toml"), overrides=("dispatch.devices=cpu",))
    paths = prepare_study(protocol, plan_protocol(protocol), store=None)
    executor = Staff()
    return Supervisor(paths, StudyView(paths), executor, [Place(n) for n in executor.places], Measuring(executor))


def test_workers_are_asked_to_end_and_killed_when_they_do_not(
    supervised: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_GRACE_S", 0.2)
    polite, stubborn = Scripted(), Scripted(stubborn=True)
    supervised.places[0].worker, supervised.places[1].worker = polite, stubborn
    supervised.stop_workers()
    assert polite.stops == [False]
    assert (stubborn.stops[0], stubborn.stops[-1]) == (False, True)
    assert not supervised.workers_left


def test_worker_that_finds_no_room_ends_the_study(supervised: Supervisor) -> None:
    supervised.places[0].worker = Scripted(status=EXIT_STORE_FULL)
    supervised.fill_places(supervised.view.refresh())
    assert "could not be written for a while (no room" in (supervised.failure or ""), "there is room again"
    assert not supervised.workers_left, "nobody is started any more"


def test_living_supervisor_of_another_machine_is_left_alone(
    supervised: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, elsewhere = supervised.paths, replace(current_owner(), host="elsewhere")
    write_record(paths.supervisor, make_supervisor(elsewhere))
    write_beat(paths.supervisor_beat, BeatRecord(boot_id="other", beaten=5.0, moved=5.0))
    before = paths.supervisor.read_bytes()
    assert is_supervised(paths)
    again = BeatRecord(boot_id="other", beaten=10.0, moved=10.0)
    monkeypatch.setattr(time, "sleep", lambda _: write_beat(paths.supervisor_beat, again))
    assert supervisor.supervise(paths) == 0
    assert paths.supervisor.read_bytes() == before
    assert is_supervised(paths)
    sign, seen = CLOCK.seen[paths.supervisor_beat]
    CLOCK.seen[paths.supervisor_beat] = (sign, seen - LOST_S)
    assert not is_supervised(paths), "it is not waited for without end"


def test_no_more_workers_than_runs_that_can_be_claimed_are_started(supervised: Supervisor) -> None:
    snapshot = supervised.view.refresh()
    supervised.places.extend(Place(f"more-{number}") for number in range(len(snapshot.runs)))
    supervised.fill_places(snapshot)
    assert sum(place.worker is not None for place in supervised.places) == len(snapshot.runs)


def test_supervisor_rests_in_proportion_to_its_looks_and_wakes_at_once(
    supervised: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    clock = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    supervised.pace.cpu_s = supervised.pace.wall_s = 0.02
    supervised.rest()
    assert sum(slept) == pytest.approx(0.98)
    assert max(slept) <= supervisor.TICK_S
    supervised.pace.cpu_s = 60.0
    slept.clear()
    supervised.rest()
    assert sum(slept) == pytest.approx(supervisor.MAX_REST_S)
    slept.clear()
    supervised.places[0].worker = Scripted(status=0)
    supervised.rest()
    assert len(slept) == 1, "a worker has ended"
    supervised.places[0].worker = None
    slept.clear()
    monkeypatch.setattr(time, "sleep", lambda seconds: (sleep(seconds), request(supervised.paths, "pause")))
    supervised.rest()
    assert len(slept) == 1, "a request has come"


def test_log_of_a_supervisor_stays_within_bounds(supervised: Supervisor) -> None:
    log = supervised.paths.supervisor_log
    log.write_bytes(b"first line\n" + b"x" * LOG_BYTES)
    supervised.beaten = -1e9
    supervised.beat()
    assert log.stat().st_size < LOG_BYTES
    assert log.read_bytes().startswith(b"first line\n")
    assert b"bytes were taken out here" in log.read_bytes()


def test_study_that_has_just_begun_is_not_measured_before_a_run_has_finished(supervised: Supervisor) -> None:
    begun = supervised.view.refresh()
    supervised.measure(begun)
    assert supervised.measuring.covered == -1
    supervised.paths.metrics.write_text("{}")
    supervised.measure(begun)
    assert supervised.measuring.covered == 0, "measures of an earlier plan are not left as they were"
    supervised.paths.metrics.unlink()
    supervised.measuring.covered = -1
    supervised.finish_measuring()
    assert supervised.measuring.covered == 0, "one that ends without a finished run has measures that say so"
