"""The supervisor of one study: keeps a worker in every slot while there is something to train.

It decides nothing that matters: workers claim runs by themselves, results are written by workers, state is
derived from files. Killing it at any moment loses nothing; its workers go on, and the next one takes over.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field

from engine.dispatch.children import command
from engine.dispatch.claims import remove_stray_claims
from engine.dispatch.devices import Slot, choose_devices, device_type, explain_devices, make_slots
from engine.dispatch.leases import Lease
from engine.dispatch.slots import EXIT_STORE_FULL, SlotWorker
from engine.errors import StudyError
from engine.study.control import read_control
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from engine.study.records import write_record
from engine.study.supervisor_record import SupervisorRecord, SupervisorState
from engine.study.view import StudySnapshot, StudyView

LOG = logging.getLogger(__name__)

TICK_S = 0.2
STOP_GRACE_S = 10.0
"""Between asking workers to end and killing them."""
METRICS_PAUSE_FACTOR = 10.0
"""Measures are refreshed at most a tenth of the time: the cores are the training's."""
METRICS_PAUSE_MIN_S = 3.0


@dataclass
class Measuring:
    """The process that brings metrics.json up to date."""

    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    next_start: float = 0.0
    covered: int = -1
    """Finished runs when the latest one was started."""

    def poll(self) -> None:
        """Note the end of the process, and how long it is to rest."""
        if self.process is not None and self.process.poll() is not None:
            now = time.monotonic()
            pause_s = max(METRICS_PAUSE_MIN_S, METRICS_PAUSE_FACTOR * (now - self.started))
            self.process, self.next_start = None, now + pause_s

    def start(self, paths: StudyPaths, finished: int) -> None:
        """Measure what is there now; its faults go to the supervisor's log."""
        self.started, self.covered = time.monotonic(), finished
        arguments = command("engine.metrics", str(paths.folder))
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, cwd="/")


@dataclass
class Supervisor:
    """State of the loop; see `supervise`."""

    paths: StudyPaths
    view: StudyView
    workers: list[SlotWorker]
    session: str = field(default_factory=lambda: uuid.uuid4().hex)
    measuring: Measuring = field(default_factory=Measuring)
    written: SupervisorRecord | None = None
    stop_asked: bool = False
    failure: str | None = None

    def write(self, state: SupervisorState) -> None:
        """Bring supervisor.json up to date; a full disk leaves the older one, which is no reason to end."""
        slots = tuple(worker.describe() for worker in self.workers)
        record = SupervisorRecord(
            owner=current_owner(), session=self.session, state=state, slots=slots, failure=self.failure
        )
        if record == self.written:
            return
        try:
            write_record(self.paths.supervisor, record)
            self.written = record
        except StudyError as error:
            LOG.warning("%s", error)

    def stop_workers(self) -> None:
        """Ask all workers to end, wait for them, then insist."""
        for worker in self.workers:
            worker.send(signal.SIGTERM)
        deadline = time.monotonic() + STOP_GRACE_S
        while any(worker.process is not None for worker in self.workers):
            if time.monotonic() > deadline:
                for worker in self.workers:
                    worker.send(signal.SIGKILL)
            for worker in self.workers:
                worker.reap(attempts=0)
            time.sleep(TICK_S / 4)

    def fill_slots(self, snapshot: StudySnapshot) -> None:
        """Reap workers that ended, and start one in every slot that could train something now."""
        attempts = sum(run.state.attempts for run in snapshot.runs.values())
        for worker in self.workers:
            if worker.reap(attempts) == EXIT_STORE_FULL:
                self.failure = f"{self.paths.folder}: no room left on this file system: make room and run it again"
        claimable = sum(run.state.retriable for run in snapshot.runs.values())
        idle = [worker for worker in self.workers if worker.process is None and not worker.given_up]
        if self.failure is None and not snapshot.control.paused:
            for worker in idle[:claimable]:
                worker.start(self.paths, self.session, attempts)
        if claimable and all(worker.given_up for worker in self.workers):
            self.failure = f"no worker could start; see the end of {self.paths.supervisor_log}"

    def measure(self, snapshot: StudySnapshot, *, at_once: bool = False) -> None:
        """Refresh metrics.json when runs have finished since, not too often."""
        self.measuring.poll()
        finished = snapshot.counts.get("done", 0)
        due = at_once or time.monotonic() >= self.measuring.next_start
        if due and self.measuring.process is None and finished != self.measuring.covered:
            self.measuring.start(self.paths, finished)

    def finish_measuring(self) -> None:
        """Wait for the measures of everything that is there now."""
        if self.measuring.process is not None:
            self.measuring.process.wait()
            self.measuring.poll()
        self.measure(self.view.refresh(), at_once=True)
        if self.measuring.process is not None:
            self.measuring.process.wait()

    def compare_layers(self) -> None:
        """Measure CKA where the protocol asks for it, then the intervals of its means; ends early when asked to."""
        if not self.view.plan.metrics.cka:
            return
        arguments = command("engine.training", "similarity", str(self.paths.folder))
        environment = dict(os.environ) | self.workers[0].slot.environment
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, cwd="/", env=environment)
        while process.poll() is None:
            if self.stop_asked or read_control(self.paths).cancelled:
                process.terminate()
            time.sleep(TICK_S)
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
    if not lease.acquire({"study": paths.name, "pid": current_owner().pid}):
        return 0
    view = StudyView(paths)
    slots = _find_slots(view)
    supervisor = Supervisor(paths=paths, view=view, workers=[SlotWorker(slot) for slot in slots])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: setattr(supervisor, "stop_asked", True))
    supervisor.write("running")
    for run_id in view.plan.order:
        remove_stray_claims(paths.run(run_id).attempts)
    while True:
        state = _loop(supervisor)
        supervisor.write(state)
        # Whoever takes a cancellation back relies on this look after the state was written; see start_supervisor.
        if state != "cancelled" or read_control(paths).cancelled:
            return 0
        supervisor.write("running")


def _find_slots(view: StudyView) -> tuple[Slot, ...]:
    """The slots on the study's devices, as they are now.

    Raises:
        NondetError: If they are not there, or of another kind than the runs are planned for.
    """
    plan = view.plan
    devices = choose_devices(plan.dispatch.devices)
    kind = device_type(devices)
    if kind != plan.device:
        why = "".join(f": {note}" for note in explain_devices(plan.dispatch.devices))
        raise StudyError(
            f"{view.paths.folder}: its runs are planned for {plan.device}, and {kind} is what there is now{why}: "
            "repair that, or run the protocol again to plan them anew"
        )
    return make_slots(devices, plan.dispatch.count_slots())


def _loop(supervisor: Supervisor) -> SupervisorState:
    while True:
        snapshot = supervisor.view.refresh()
        if snapshot.control.cancelled or supervisor.stop_asked:
            supervisor.stop_workers()
            supervisor.finish_measuring()
            return "cancelled" if snapshot.control.cancelled else "stopped"
        supervisor.fill_slots(snapshot)
        supervisor.measure(snapshot)
        supervisor.write("running")
        if supervisor.failure is not None:
            supervisor.stop_workers()
            supervisor.finish_measuring()
            return "stopped"
        if snapshot.finished and not any(worker.process for worker in supervisor.workers):
            supervisor.finish_measuring()
            supervisor.compare_layers()
            return "finished"
        time.sleep(TICK_S)
