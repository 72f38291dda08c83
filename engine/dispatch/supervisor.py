"""Supervises one study: keeps a worker in every place of its executor while there is something to train.

It decides nothing that matters: workers claim runs by themselves, results are written by workers, state is
derived from files. Killing it at any moment loses nothing; its workers go on, and the next one takes over.
"""

from __future__ import annotations

import hashlib
import logging
import signal
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from engine.dispatch.claims import remove_stray_claims
from engine.dispatch.decisions import PairWatch
from engine.dispatch.endings import record_ends
from engine.dispatch.executors.base import Executor, WatchedJob, WorkerRequest
from engine.dispatch.executors.registry import open_executor
from engine.dispatch.jobs import EXIT_STORE_FULL, metrics_job, similarity_job
from engine.dispatch.judging import Judge
from engine.dispatch.leases import Lease, describe_holder
from engine.dispatch.places import Place
from engine.dispatch.singleton import HeldClaim, take_over
from engine.dispatch.stalls import Stalls
from engine.dispatch.tidying import Tidying
from engine.errors import NondetError, StudyError
from engine.study.beats import BEAT_S, make_beat, write_beat
from engine.study.control import read_control
from engine.study.files import describe_obstacle
from engine.study.logs import BoundedLog
from engine.study.looks import Pace
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from engine.study.records import write_record
from engine.study.run_records import AttemptRecord
from engine.study.snapshot import StudySnapshot
from engine.study.store_trouble import StoreTrouble
from engine.study.supervisor_record import SupervisorRecord, SupervisorState
from engine.study.view import StudyView

LOG = logging.getLogger(__name__)

TICK_S = 0.2
MAX_REST_S = 5.0
"""Time between two looks at all runs at most, however long a look takes."""
STOP_GRACE_S = 10.0
"""Time between asking workers to end and killing them."""
METRICS_PAUSE_FACTOR = 10.0
"""Measures are refreshed at most a tenth of the time: the cores are the training's."""
METRICS_PAUSE_MIN_S = 3.0


@dataclass
class Measuring:
    """Keeps the process that brings metrics.json up to date."""

    executor: Executor
    job: WatchedJob | None = None
    stall_s: float | None = None
    """Seconds for which the process may do nothing, as the protocol says."""
    started: float = 0.0
    next_start: float = 0.0
    covered: int = -1
    """Finished runs when the latest one was started."""

    def poll(self) -> None:
        """Note the end of the process, and how long it is to rest."""
        if self.job is not None and self.job.poll() is not None:
            now = time.monotonic()
            pause_s = max(METRICS_PAUSE_MIN_S, METRICS_PAUSE_FACTOR * (now - self.started))
            self.job, self.next_start = None, now + pause_s

    def start(self, paths: StudyPaths, finished: int) -> None:
        """Measure what is there now; its faults go to the supervisor's log."""
        self.started, self.covered = time.monotonic(), finished
        self.job = self.executor.start_job(metrics_job(paths, stall_s=self.stall_s))

    def wait(self, look: Callable[[], None] = lambda: None) -> None:
        """Wait for the end of the process, where one runs; `look` is called meanwhile."""
        while self.job is not None:
            time.sleep(TICK_S / 4)
            look()
            self.poll()


@dataclass
class Supervisor:
    """Holds the state of the loop; see `supervise`."""

    paths: StudyPaths
    view: StudyView
    executor: Executor
    places: list[Place]
    measuring: Measuring
    session: str = field(default_factory=lambda: uuid.uuid4().hex)
    held: HeldClaim | None = None
    """The claim on the study; see `singleton`."""
    written: SupervisorRecord | None = None
    trouble: StoreTrouble = field(default_factory=lambda: StoreTrouble(LOG))
    stop_asked: bool = False
    overtaken: bool = False
    """Whether another machine's supervisor has the study now."""
    failure: str | None = None
    other_job: WatchedJob | None = None
    """The process that compares layers, while it runs."""
    stalls: Stalls = field(default_factory=Stalls)
    beaten: float = -1e9
    steps: int = 0
    judge: Judge = field(default_factory=Judge)
    pairs: PairWatch = field(default_factory=PairWatch)
    tidying: Tidying = field(default_factory=Tidying)
    pace: Pace = field(default_factory=Pace)
    log: BoundedLog = field(init=False)

    def __post_init__(self) -> None:
        """Keep the log within bounds, to which workers write too while they have no run."""
        self.log = BoundedLog(self.paths.supervisor_log)

    def rest(self) -> None:
        """Wait until looking again takes no more than its share, or until something has happened."""
        due = time.monotonic() + min(MAX_REST_S, self.pace.rest_s(TICK_S))
        requests = _stamp(self.paths)
        while (left_s := due - time.monotonic()) > 0:
            time.sleep(min(TICK_S, left_s))
            ended = any(place.worker is not None and place.worker.poll() is not None for place in self.places)
            if ended or self.stop_asked or _stamp(self.paths) != requests:
                return

    def write(self, state: SupervisorState) -> None:
        """Bring supervisor.json up to date, and beat; a full disk leaves the older one, which is no reason to end."""
        if self.overtaken:
            return
        self.beat()
        slots = tuple(place.describe() for place in self.places)
        record = SupervisorRecord(
            owner=current_owner(),
            session=self.session,
            state=state,
            slots=slots,
            failure=self.failure,
            note=self._find_note(),
        )
        if record == self.written:
            return
        try:
            write_record(self.paths.supervisor, record)
            self.written = record
        except StudyError as error:
            self.trouble.note(error)
        else:
            self.trouble.end()

    def _find_note(self) -> str | None:
        jobs = {"measuring": self.measuring.job, "comparing layers": self.other_job}
        found = [f"{what}: {job.obstacle}" for what, job in jobs.items() if job is not None and job.obstacle]
        return "; ".join(found) or None

    def beat(self) -> None:
        """Give a sign of life, every few seconds; trainings are judged only where the store takes such signs."""
        now = time.monotonic()
        if now - self.beaten >= BEAT_S:
            self.steps += 1
            self.beaten = now
            self.stalls.judging = write_beat(self.paths.supervisor_beat, make_beat(moved=now, steps=self.steps))
            self.overtaken = self.held is not None and self.held.overtaken
            self.log.bound()

    def judge_others(self, snapshot: StudySnapshot) -> None:
        """Declare attempts lost that cannot be asked: by what the executor knows, and by their silence."""
        if not self.stalls.judging:
            self.judge.forget()
            return
        watched = self.judge.watch(snapshot, self.view)
        for record in self.judge.find_stalled(snapshot, self.view):
            self.executor.end_attempt(record)
        self.judge.judge(self.executor.judge(watched) if watched else {})

    @property
    def workers_left(self) -> bool:
        """Tell whether some worker had not ended when the workers were last looked at."""
        return any(place.worker is not None for place in self.places)

    def stop_workers(self) -> None:
        """Ask all workers to end, and kill those that have not ended after STOP_GRACE_S."""
        self._tell_workers(at_once=False)
        deadline = time.monotonic() + STOP_GRACE_S
        while self.workers_left:
            if time.monotonic() > deadline:
                self._tell_workers(at_once=True)
            for place in self.places:
                place.reap(attempts=0)
            self.beat()
            time.sleep(TICK_S / 4)

    def _tell_workers(self, *, at_once: bool) -> None:
        for place in self.places:
            if place.worker is not None:
                place.worker.stop(at_once=at_once)

    def fill_places(self, snapshot: StudySnapshot) -> None:
        """Reap workers that ended, and start one in every place that could train something now."""
        attempts = sum(run.state.attempts for run in snapshot.runs.values())
        owners = (run.state.owner for run in snapshot.runs.values())
        training = {owner.pid for owner in owners if owner is not None}
        for place in self.places:
            status = place.reap(attempts)
            place.end_silent(training)
            if status:
                self._record_end(place, status)
            if status == EXIT_STORE_FULL:
                self.failure = describe_obstacle(self.paths.folder)
        claimable = sum(run.state.retriable for run in snapshot.runs.values())
        for place in () if claimable else self.places:
            place.dismiss_waiting()
        idle = [place for place in self.places if place.worker is None and not place.given_up]
        if self.failure is None and not snapshot.control.paused:
            self._fill(idle[:claimable], attempts)
        if claimable and all(place.given_up for place in self.places):
            self.failure = f"no worker could start; see the end of {self.paths.supervisor_log}"

    def _record_end(self, place: Place, status: int) -> None:
        """Record how the attempts ended that the worker of a place could not finish."""

        def belongs(claimed: AttemptRecord) -> bool:
            return (claimed.session, claimed.slot) == (self.session, place.name)

        record_ends(self.paths, self.view.plan.order, belongs, status, known=self.stalls.ended)

    def _fill(self, places: Sequence[Place], attempts: int) -> None:
        request = WorkerRequest(self.paths, self.session, self.view.plan.dispatch.stall_s)
        for place in places:
            try:
                place.fill(self.executor, request, attempts)
            except NondetError as error:  # the executor refuses for good
                self.failure = str(error)
                return

    def measure(self, snapshot: StudySnapshot, *, at_once: bool = False) -> None:
        """Refresh metrics.json when runs have finished since, not too often."""
        self.measuring.poll()
        finished = snapshot.counts.get("done", 0)
        # A study that has just begun has nothing to measure; measures of an earlier plan are brought up to date.
        worth = finished > 0 or self.paths.metrics.exists()
        due = at_once or (worth and time.monotonic() >= self.measuring.next_start)
        if due and self.measuring.job is None and finished != self.measuring.covered:
            self.measuring.start(self.paths, finished)

    def finish_measuring(self) -> None:
        """Wait for the measures of everything that is there now."""
        self.measuring.wait(self._look)
        self.measure(self.view.refresh(), at_once=True)
        self.measuring.wait(self._look)

    def _look(self) -> None:
        """Write that the end of a process is waited for; end one that does nothing where a stop was asked for."""
        self.write("running" if self.written is None else self.written.state)
        job = self.measuring.job
        if job is not None and job.obstacle and (self.stop_asked or read_control(self.paths).cancelled):
            job.stop(at_once=True)

    def compare_layers(self) -> None:
        """Measure CKA where the protocol asks for it, then the intervals of its means; ends early when asked to."""
        if not self.view.plan.metrics.cka:
            return
        dispatch = self.view.plan.dispatch
        job = self.other_job = self.executor.start_job(similarity_job(self.paths, stall_s=dispatch.stall_s))
        asked_at: float | None = None
        while job.poll() is None:
            if self.stop_asked or read_control(self.paths).cancelled:
                asked_at = asked_at or time.monotonic()
                job.stop(at_once=time.monotonic() - asked_at > STOP_GRACE_S)
            self.write("running")
            time.sleep(TICK_S)
        self.other_job = None
        self.measuring.covered = -1
        self.finish_measuring()


def supervise(paths: StudyPaths) -> int:
    """Train what a study's plan lacks, until all is done, nothing more can be tried, or the end is asked for.

    Returns:
        The exit status: 0, also where another supervisor of this study is alive.

    Raises:
        NondetError: If the study cannot be read or written, or its devices are not there.
    """
    lease = Lease(f"study-{hashlib.sha256(str(paths.folder.resolve()).encode()).hexdigest()[:16]}")
    if not lease.acquire(describe_holder(paths)):
        return 0
    session = uuid.uuid4().hex
    held = take_over(paths, session)
    if held is None:
        return 0
    view = StudyView(paths, measures=(), deciding=True)
    executor = _find_executor(view)
    places = [Place(name) for name in executor.places]
    measuring = Measuring(executor, stall_s=view.plan.dispatch.stall_s)
    supervisor = Supervisor(paths, view, executor, places, measuring, session, held)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        supervisor.stop_asked = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    supervisor.write("running")
    for run_id in view.plan.order:
        remove_stray_claims(paths.run(run_id).attempts)
    while True:
        state = _loop(supervisor)
        supervisor.write(state)
        # Whoever takes a cancellation back, or asks for another attempt, relies on this look after the state was
        # written; see start_supervisor.
        if not is_asked_to_go_on(supervisor, state):
            return 0
        supervisor.write("running")


def is_asked_to_go_on(supervisor: Supervisor, state: SupervisorState) -> bool:
    """Tell whether there is something to train after all: a request may come while a study is being ended."""
    if state == "cancelled":
        return not read_control(supervisor.paths).cancelled
    snapshot = supervisor.view.refresh()
    again = (snapshot.runs[run] for run in snapshot.control.retried if run in snapshot.runs)
    return state == "finished" and any(run.state.retriable for run in again)


def _find_executor(view: StudyView) -> Executor:
    """Return the study's executor, as its devices are now.

    Raises:
        NondetError: If they are not there, or of another kind than the runs are planned for.
    """
    executor = open_executor(view.plan.dispatch.fill_in())
    if executor.device != view.plan.device:
        why = "".join(f": {note}" for note in executor.notes)
        raise StudyError(
            f"{view.paths.folder}: its runs are planned for {view.plan.device}, and {executor.device} is what there "
            f"is now{why}: repair that, or run the protocol again to plan them anew"
        )
    return executor


def _loop(supervisor: Supervisor) -> SupervisorState:
    while True:
        supervisor.pace.begin()
        snapshot = supervisor.view.refresh()
        if snapshot.control.cancelled or supervisor.stop_asked:
            supervisor.stop_workers()
            supervisor.finish_measuring()
            return "cancelled" if snapshot.control.cancelled else "stopped"
        if supervisor.overtaken:
            LOG.warning("%s: another machine's supervisor has taken this study over", supervisor.paths.folder)
            return "stopped"
        if supervisor.pairs.look(supervisor.paths, supervisor.view, snapshot):
            snapshot = supervisor.view.refresh()
        supervisor.stalls.end(snapshot, supervisor.view)
        supervisor.judge_others(snapshot)
        supervisor.fill_places(snapshot)
        supervisor.measure(snapshot)
        supervisor.tidying.clear(supervisor.paths, snapshot)
        supervisor.write("running")
        if supervisor.failure is not None:
            supervisor.stop_workers()
            supervisor.finish_measuring()
            return "stopped"
        if snapshot.finished and not supervisor.workers_left:
            supervisor.finish_measuring()
            supervisor.compare_layers()
            supervisor.tidying.clear(supervisor.paths, snapshot, at_once=True)
            return "finished"
        supervisor.pace.end()
        supervisor.rest()


def _stamp(paths: StudyPaths) -> int:
    """Return what changes with the requests of a study."""
    try:
        return paths.control.stat().st_mtime_ns
    except OSError:
        return 0
