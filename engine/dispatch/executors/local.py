"""Starts workers on this machine: one process in each slot of its devices, which is leased while it trains."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass

from engine.dispatch.children import start_detached
from engine.dispatch.devices import (
    Slot,
    choose_devices,
    device_type,
    explain_devices,
    list_devices,
    make_slots,
)
from engine.dispatch.executors.base import JobOutput, Wanted, WorkerRequest, WorkerState
from engine.dispatch.jobs import Job, worker_job
from engine.dispatch.leases import Lease
from engine.dispatch.visible import Gpu
from engine.recipe import DeviceType

MOST_SLOTS_PER_GPU = 8


@dataclass(frozen=True)
class LocalJob:
    """Holds a process that ends with the supervisor's process group."""

    process: subprocess.Popen[bytes]

    def poll(self) -> int | None:
        """Return the exit status; None while it runs."""
        return self.process.poll()

    def stop(self, *, at_once: bool = False) -> None:
        """Ask the process to end, or kill it."""
        self.process.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)


@dataclass(frozen=True)
class LocalWorker:
    """Holds a worker in a slot, in a process group of its own, which outlives the supervisor."""

    process: subprocess.Popen[bytes]
    slot: Slot

    def poll(self) -> int | None:
        """Return the exit status; None while it runs."""
        return self.process.poll()

    def stop(self, *, at_once: bool = False) -> None:
        """Ask the worker and whatever it started to end, or kill them."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL if at_once else signal.SIGTERM)

    def describe(self) -> WorkerState:
        """Tell from the slot's lease whether the worker trains, or who else holds the slot."""
        holder = Lease(self.slot.key).read_holder()
        if holder is None:
            return WorkerState("starting")
        if holder.pid == self.process.pid:
            return WorkerState("training")
        message = f"the slot is held by study {holder.study} (process {holder.pid})"
        return WorkerState("waiting", message)


@dataclass(frozen=True)
class LocalExecutor:
    """Has the slots of some of this machine's devices as places; see `base.Executor`."""

    device: DeviceType
    slots: tuple[Slot, ...]
    most_slots: int
    notes: tuple[str, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Return the names of the slots."""
        return tuple(slot.name for slot in self.slots)

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """Return all GPUs that this process may use, those that the study leaves alone too."""
        return list_devices().gpus

    def start_worker(self, place: str, request: WorkerRequest) -> LocalWorker:
        """Start a worker that waits for its slot; what it prints goes to the supervisor's log."""
        slot = next(slot for slot in self.slots if slot.name == place)
        job = worker_job(request.paths, request.session, place=place, lease=slot.key)
        process = start_detached(job.command, log=request.paths.supervisor_log, environment=slot.environment)
        return LocalWorker(process, slot)

    def start_job(self, job: Job) -> LocalJob:
        """Start a job on the first device, or without one; no slot is leased for it."""
        environment = self._environment(job)
        return LocalJob(subprocess.Popen(job.command, stdin=subprocess.DEVNULL, cwd="/", env=environment))

    def run_job(self, job: Job, text: str) -> JobOutput:
        """Run a job on the first device, or without one, to its end; no slot is leased for it."""
        done = subprocess.run(
            job.command,
            input=text,
            capture_output=True,
            text=True,
            env=self._environment(job),
            cwd="/",
            check=False,
        )
        return JobOutput(done.returncode, done.stdout, done.stderr)

    def _environment(self, job: Job) -> dict[str, str]:
        return dict(os.environ) | (self.slots[0].environment if job.on_device else {})


def open_local(wanted: Wanted) -> LocalExecutor:
    """Look for the devices that are asked for among this machine's.

    Raises:
        NondetError: If one of them is not there.
    """
    found = None if wanted.devices == "cpu" else list_devices()
    devices = choose_devices(wanted.devices, found=found)
    return LocalExecutor(
        device=device_type(devices),
        slots=make_slots(devices, wanted.slots_per_device, found=found),
        most_slots=len(make_slots(devices, "auto")) if devices == ("cpu",) else MOST_SLOTS_PER_GPU,
        notes=explain_devices(wanted.devices, found=found),
    )
