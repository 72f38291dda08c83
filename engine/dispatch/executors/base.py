"""Says what an executor is: where a study's workers come from, and where everything runs that needs its devices.

An executor has places. The supervisor keeps a worker in each of them while there is something to train; a worker
claims runs by itself (see `claims`), so an executor never decides which run is trained where. Trying out before a
study is written, and CKA after it, are jobs of the executor too: the machine on which a command was typed may have
other devices than the one that trains, or none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from engine.dispatch.jobs import Job
from engine.dispatch.visible import Gpu
from engine.recipe import DeviceType
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.run_records import AttemptRecord


class SlurmWanted(Protocol):
    """Says what each job of Slurm asks for; empty where the cluster decides."""

    @property
    def partition(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def qos(self) -> str: ...
    @property
    def time(self) -> str: ...
    @property
    def gres(self) -> str: ...
    @property
    def cpus(self) -> int: ...
    @property
    def mem(self) -> str: ...
    @property
    def setup(self) -> Sequence[str]: ...
    @property
    def extra(self) -> Sequence[str]: ...


class Wanted(Protocol):
    """Asks an executor, by its name, for workers on some devices: a protocol's dispatch does, and a study's plan."""

    @property
    def executor(self) -> str: ...
    @property
    def devices(self) -> tuple[str, ...] | str: ...
    @property
    def slots_per_device(self) -> int | str: ...
    @property
    def workers(self) -> int: ...
    @property
    def slurm(self) -> SlurmWanted: ...


@dataclass(frozen=True)
class WorkerRequest:
    """Tells a worker which study it trains, and for which supervisor."""

    paths: StudyPaths
    session: str
    stall_s: float | None = None
    """Seconds for which it may do nothing at all outside of a run; 0 for no end, None for what is usual."""


@dataclass(frozen=True)
class WorkerState:
    """Shows a worker at this moment, as far as its executor can tell."""

    state: Literal["starting", "training", "waiting"]
    message: str | None = None
    """What it waits for, in words."""
    host: str | None = None
    """The machine that it runs on, where that is another; None where it is not known."""
    job: str | None = None
    """The number of its job in a queue."""


@dataclass(frozen=True)
class JobOutput:
    """Holds what a job left when it ended."""

    status: int
    text: str
    """Its standard output."""
    errors: str
    """Its standard error, of which people are shown the end."""


class JobHandle(Protocol):
    """Holds on to a job that was started."""

    def poll(self) -> int | None:
        """Return the exit status once the job has ended; None before."""
        ...

    def stop(self, *, at_once: bool = False) -> None:
        """Ask the job, and whatever it started, to end; with `at_once` kill them. An ended job is left alone."""
        ...


class WatchedJob(JobHandle, Protocol):
    """Holds on to a job whose executor ends it where it does nothing for longer than it may."""

    @property
    def obstacle(self) -> str | None:
        """Say why nothing may happen; None where nothing is known to be wrong."""
        ...


class WorkerHandle(JobHandle, Protocol):
    """Holds on to a worker, which may have to wait before it begins."""

    def describe(self) -> WorkerState:
        """Return what the worker does, or what it waits for."""
        ...

    def end_silent(self, training: Collection[int]) -> str | None:
        """Kill a worker that hangs without a run, whose silence no beat tells; return why, None where it may go on.

        Args:
            training: The processes of the study that have a run, and whose beats say how they are.
        """
        ...


class Executor(Protocol):
    """Starts workers in its places, and jobs on its devices."""

    @property
    def device(self) -> DeviceType:
        """Return the type of device that runs are trained on here."""
        ...

    @property
    def places(self) -> Sequence[str]:
        """Return the names of all places: the supervisor keeps a worker in each."""
        ...

    @property
    def most_slots(self) -> int:
        """Return the most workers side by side on a device that are worth a trial; 1 where nothing is to be chosen."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Say what a user should know of the devices: which are left out, or why the CPU is used."""
        ...

    @property
    def gpus(self) -> Sequence[Gpu]:
        """Return the GPUs as far as they are known before anything is started, for the provenance of a study."""
        ...

    def start_worker(self, place: str, request: WorkerRequest) -> WorkerHandle:
        """Start a worker in a place, or return the one that is there from an earlier supervisor of the study.

        Raises:
            NondetError: If none can be started and trying again would not help: the supervisor ends with its words.
        """
        ...

    def judge(self, attempts: Mapping[AttemptPaths, AttemptRecord]) -> Mapping[AttemptPaths, str]:
        """Return which attempts have ended, and why, as far as the executor knows.

        Args:
            attempts: Those whose processes cannot be asked, with who makes them.
        """
        ...

    def end_attempt(self, record: AttemptRecord) -> None:
        """End the worker that makes an attempt, and whose process cannot be asked, as far as that is possible."""
        ...

    def describe_submission(self, paths: StudyPaths) -> str | None:
        """Return what would be submitted to a scheduler for each place of a study; None where nothing is."""
        ...

    def start_job(self, job: Job) -> WatchedJob:
        """Start a job in the background; what it prints goes where this process's output goes."""
        ...

    def run_job(self, job: Job, text: str) -> JobOutput:
        """Run a job to its end.

        Args:
            job: The process.
            text: What it reads on standard input.
        """
        ...
