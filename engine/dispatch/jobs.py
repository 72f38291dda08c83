"""Lists the processes of the engine that an executor starts, and what each of them is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.dispatch.children import command
from engine.study.paths import StudyPaths

EXIT_STORE_FULL = 73
"""A worker's exit status when the store had no room for longer than it waits; EX_CANTCREAT of sysexits.h."""

EXIT_FENCED = 76
"""A worker's exit status when its run was taken from it, because its signs of life had been missed for too long."""

EXIT_NO_ROOM = 71
"""The exit status of a process of a trial that ran out of memory; EX_OSERR of sysexits.h."""


@dataclass(frozen=True)
class Job:
    """Names one process of the engine and says what it needs."""

    module: str
    arguments: tuple[str, ...]
    on_device: bool
    """Whether it computes on one of the study's devices; otherwise one core of any machine with the store will do."""
    stall_s: float | None = None
    """Seconds for which it may do nothing before it is ended; 0 for no end, None for what is usual."""
    beat: Path | None = None
    """Where it gives signs of life itself; None where what it uses of the machine is the only one."""
    leased: bool = False
    """Whether it trains as a worker does, and so waits for a slot of its own."""

    @property
    def command(self) -> list[str]:
        """Return the command line, the same on every machine on which the program is installed."""
        return command(self.module, *self.arguments)


def worker_job(paths: StudyPaths, session: str, *, place: str, lease: str | None = None) -> Job:
    """Return the process that claims and trains runs until none is left.

    Args:
        paths: The study.
        session: The supervisor's, which the worker writes into each attempt.
        place: The name under which its attempts are shown.
        lease: The lease that it waits for before it claims a run; None where its place is its own.
    """
    held = () if lease is None else ("--lease", lease)
    arguments = ("worker", str(paths.folder), "--slot", place, *held, "--session", session)
    return Job("engine.training", arguments, on_device=True)


def probe_job(*, stall_s: float | None = None) -> Job:
    """Return the process that reads workloads on standard input and answers with facts about them."""
    return Job("engine.training", ("probe",), on_device=True, stall_s=stall_s)


def race_job(*, stall_s: float | None = None) -> Job:
    """Return the process that has several others train at once, and answers how fast they were."""
    return Job("engine.training", ("race",), on_device=True, stall_s=stall_s)


def selftest_job(paths: StudyPaths, session: str) -> Job:
    """Return the process that runs a user's own program as its self-test wants; its own time-out ends what hangs."""
    arguments = ("selftest", str(paths.folder), "--session", session)
    return Job("engine.training", arguments, on_device=True, stall_s=0.0, leased=True)


def similarity_job(paths: StudyPaths, *, stall_s: float | None = None) -> Job:
    """Return the process that compares the replicas' inner layers (CKA)."""
    arguments = ("similarity", str(paths.folder))
    return Job("engine.training", arguments, on_device=True, stall_s=stall_s, beat=paths.similarity_beat)


def metrics_job(paths: StudyPaths, *, stall_s: float | None = None) -> Job:
    """Return the process that brings metrics.json up to date, for which files are enough."""
    return Job("engine.metrics", (str(paths.folder),), on_device=False, stall_s=stall_s)
