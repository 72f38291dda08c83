"""Starts workers on this machine: one process in each slot of its devices, which is leased while it trains."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from engine.dispatch.children import poll_group, start_detached, stop_group
from engine.dispatch.devices import (
    Slot,
    choose_devices,
    device_type,
    explain_devices,
    explain_slots,
    list_devices,
    make_slots,
    may_share,
)
from engine.dispatch.executors.base import JobOutput, Wanted, WorkerRequest, WorkerState
from engine.dispatch.jobs import Job, worker_job
from engine.dispatch.leases import UNKNOWN, Lease
from engine.dispatch.leftovers import VARIABLE, end_leftovers, make_mark
from engine.dispatch.neighbours import describe_busy_cores
from engine.dispatch.visible import DeviceList, Gpu
from engine.dispatch.watching import JobWatch
from engine.recipe import DeviceType
from engine.study.beats import WORTH_TELLING_S
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.run_records import AttemptRecord

MOST_SLOTS_PER_GPU = 8


LOG = logging.getLogger(__name__)

PIPES_S = 3.0
"""How long the output of a job that has ended is waited for."""

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})

MOST_TRIAL_S = 3600.0
"""How long a job that is waited for may take at most, unless the protocol lets trainings stand still for longer."""


def _decode(content: bytes | None) -> str:
    return (content or b"").decode(errors="replace")


def attend(process: subprocess.Popen[str], watch: JobWatch, text: str) -> JobOutput:
    """Wait for the end of a job, and say so when that takes long; end one that does nothing, or takes for ever."""
    started, told_s, reason = time.monotonic(), WORTH_TELLING_S, ""
    ended_at: float | None = None
    while True:
        try:
            out, errors = process.communicate(text or None, timeout=0.5)
            return JobOutput(process.returncode, out, f"{errors}\n{reason}".strip())
        except subprocess.TimeoutExpired as waiting:
            text = ""  # it has been handed over
            if ended_at is None:
                status = poll_group(process)
                ended_at = None if status is None else time.monotonic()
            elif time.monotonic() - ended_at > PIPES_S:
                # Something that left the group keeps the pipes open: what was said so far is all.
                return JobOutput(process.returncode, _decode(waiting.output), f"{_decode(waiting.stderr)}\n{reason}")
            silent_s, taken_s = watch.look(), time.monotonic() - started
        if taken_s >= told_s and watch.stall_s != 0:
            LOG.warning("trying out data and models for %.0f s so far, without a sign for %.0f s", taken_s, silent_s)
            told_s *= 2
        most_s = max(MOST_TRIAL_S, watch.stall_s or 0.0) if watch.stall_s != 0 else float("inf")
        if not reason and (silent_s >= watch.limit_s or taken_s >= most_s):
            reason = (
                f"it was ended after {taken_s:.0f} s, without a sign for {silent_s:.0f} s: look for what never ends in "
                "the code that the protocol names, or set [dispatch] stall_s"
            )
            stop_group(process, at_once=True)


def _poll_marked(process: subprocess.Popen[Any], mark: str) -> int | None:
    """Return the exit status of a process that leads its group, None while it runs; what it left behind is killed."""
    known = process.returncode
    status = poll_group(process)
    if known is None and status is not None:
        end_leftovers(mark)
    return status


@dataclass(frozen=True)
class LocalJob:
    """Holds a job in a process group of its own; it ends with the process that started it."""

    process: subprocess.Popen[Any]
    watch: JobWatch
    mark: str
    """What all that it starts has in its environment."""

    def poll(self) -> int | None:
        """Return the exit status; None while it runs. A job that has done nothing for too long is killed."""
        status = _poll_marked(self.process, self.mark)
        if status is None and self.watch.look() >= self.watch.limit_s:
            LOG.warning("%s", self.watch.obstacle)
            self.stop(at_once=True)
        return status

    def stop(self, *, at_once: bool = False) -> None:
        """Ask the process, and whatever it started, to end, or kill them."""
        stop_group(self.process, at_once=at_once)

    @property
    def obstacle(self) -> str | None:
        """Say how long the job has done nothing; None where that is not worth telling."""
        return self.watch.obstacle


def start_here(job: Job, environment: Mapping[str, str] = NO_VARIABLES) -> LocalJob:
    """Start a job on this machine, with some variables more than this process has."""
    mark = make_mark()
    variables = dict(os.environ) | dict(environment) | {VARIABLE: mark}
    process = subprocess.Popen(job.command, stdin=subprocess.DEVNULL, cwd="/", env=variables, process_group=0)
    return LocalJob(process, JobWatch(process.pid, job.stall_s, job.beat), mark)


@dataclass(frozen=True)
class LocalWorker:
    """Holds a worker in a slot, in a process group of its own, which outlives the supervisor."""

    process: subprocess.Popen[bytes]
    slot: Slot
    watch: JobWatch
    mark: str
    """What all that it starts has in its environment."""

    def poll(self) -> int | None:
        """Return the exit status; None while it runs."""
        return _poll_marked(self.process, self.mark)

    def stop(self, *, at_once: bool = False) -> None:
        """Ask the worker and whatever it started to end, or kill them."""
        stop_group(self.process, at_once=at_once)

    def describe(self) -> WorkerState:
        """Tell from the slot's lease whether the worker trains, or who else holds the slot."""
        holder = Lease(self.slot.key).read_holder()
        if holder is None:
            return WorkerState("starting", self.watch.obstacle)
        if holder.pid == self.process.pid:
            return WorkerState("training")
        if holder == UNKNOWN:
            said = f"the slot is held by a process that does not say who it is ({Lease(self.slot.key).path})"
            return WorkerState("waiting", said)
        message = f"the slot is held by study {holder.study} (process {holder.pid})"
        return WorkerState("waiting", message)

    def end_silent(self, training: Collection[int]) -> str | None:
        """Kill a worker that does nothing although it has no run: one that waits reads the study again and again."""
        if any(_group_of(pid) == self.process.pid for pid in training):
            self.watch.note_sign()
            return None
        if self.process.returncode is not None or self.watch.look() < self.watch.limit_s:
            return None
        why = self.watch.obstacle
        self.stop(at_once=True)
        return why


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:  # it has ended
        return None


@dataclass(frozen=True)
class LocalExecutor:
    """Has the slots of some of this machine's devices as places; see `base.Executor`."""

    device: DeviceType
    slots: tuple[Slot, ...]
    most_slots: int
    device_notes: tuple[str, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Return the names of the slots."""
        return tuple(slot.name for slot in self.slots)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what there is to be said of the devices, and of others who use the cores; that takes a moment."""
        busy = describe_busy_cores(len(self.slots)) if self.device == "cpu" else None
        return self.device_notes if busy is None else (*self.device_notes, busy)

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """Return all GPUs that this process may use, those that the study leaves alone too."""
        return list_devices().gpus

    def start_worker(self, place: str, request: WorkerRequest) -> LocalWorker:
        """Start a worker that waits for its slot; what it prints goes to the supervisor's log."""
        slot = next(slot for slot in self.slots if slot.name == place)
        job = worker_job(request.paths, request.session, place=place, lease=slot.key)
        mark = make_mark()
        environment = slot.environment | {VARIABLE: mark}
        process = start_detached(job.command, log=request.paths.supervisor_log, environment=environment)
        return LocalWorker(process, slot, JobWatch(process.pid, request.stall_s), mark)

    def judge(self, attempts: Mapping[AttemptPaths, AttemptRecord]) -> Mapping[AttemptPaths, str]:
        """Know nothing: processes of this machine are asked themselves."""
        return {}

    def end_attempt(self, record: AttemptRecord) -> None:
        """Do nothing: a process that cannot be asked is not this machine's."""

    def describe_submission(self, paths: StudyPaths) -> str | None:
        """Return None: nothing is submitted."""
        return None

    def start_job(self, job: Job) -> LocalJob:
        """Start a job on the first device, or without one; no slot is leased for it."""
        return start_here(job, self.slots[0].environment if job.on_device else {})

    def run_job(self, job: Job, text: str) -> JobOutput:
        """Run a job on the first device, or without one, to its end; one that trains as a worker does leases a slot."""
        mark = make_mark()
        slot = self._choose_slot() if job.leased else self.slots[0]
        process = subprocess.Popen(
            [*job.command, "--lease", slot.key] if job.leased else job.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ) | (slot.environment if job.on_device else {}) | {VARIABLE: mark},
            cwd="/",
            process_group=0,
        )
        try:
            return attend(process, JobWatch(process.pid, job.stall_s), text)
        finally:
            stop_group(process, at_once=True)
            end_leftovers(mark)

    def _choose_slot(self) -> Slot:
        """Return a slot that nobody holds; the first one, with a word on who holds it, where there is none."""
        holders = [Lease(slot.key).read_holder() for slot in self.slots]
        if None in holders:
            return self.slots[holders.index(None)]
        held = ", ".join(sorted({holder.study or "nobody knows whom" for holder in holders if holder is not None}))
        LOG.warning("all %d slots of this machine are held, by %s: waiting for one", len(holders), held)
        return self.slots[0]


def open_local(wanted: Wanted) -> LocalExecutor:
    """Look for the devices that are asked for among this machine's.

    Raises:
        NondetError: If one of them is not there.
    """
    found = DeviceList() if wanted.devices == "cpu" else list_devices()
    devices = choose_devices(wanted.devices, found=found)
    slots = make_slots(devices, wanted.slots_per_device, found=found)
    notes = explain_devices(wanted.devices, found=found)
    if devices == ("cpu",):
        return LocalExecutor("cpu", slots, len(make_slots(devices, "auto")), notes)
    notes = (*notes, *explain_slots(devices, wanted.slots_per_device, found=found))
    return LocalExecutor(
        device_type(devices), slots, MOST_SLOTS_PER_GPU if may_share(devices, found=found) else 1, notes
    )
