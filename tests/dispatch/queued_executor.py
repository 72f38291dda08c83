"""An executor as a cluster is: places are waited for, one never comes, and a worker is taken away in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.dispatch.executors.base import JobOutput, Wanted, WorkerRequest, WorkerState
from engine.dispatch.jobs import Job, worker_job
from engine.dispatch.visible import Gpu
from engine.recipe import DeviceType
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.run_records import AttemptRecord

FULL = "waiting: the partition is full"
NEVER = "node-c"
POLLS_IN_QUEUE = 3


@dataclass
class Queued:
    """A job that starts when it has been looked at a few times, or never."""

    command: list[str]
    folder: Path | None = None
    """Of its study, where it is a worker that is to be taken away once it has claimed a run."""
    never: bool = False
    polls: int = 0
    process: subprocess.Popen[bytes] | None = None
    status: int | None = None

    def poll(self) -> int | None:
        self.polls += 1
        if self.status is None and self.process is None and self.polls >= POLLS_IN_QUEUE and not self.never:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True)
        if self.process is not None:
            self.status = self.process.poll()
            if self.status is None and self.folder is not None and claimed_by(self.process.pid, self.folder):
                self.stop(at_once=True)
        return self.status

    def stop(self, *, at_once: bool = False) -> None:
        if self.process is None:
            self.status = -signal.SIGTERM
        elif self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL if at_once else signal.SIGTERM)

    @property
    def obstacle(self) -> str | None:
        return None

    def end_silent(self, training: Collection[int]) -> str | None:
        return None

    def describe(self) -> WorkerState:
        return WorkerState("waiting", FULL) if self.process is None else WorkerState("training")


def claimed_by(pid: int, folder: Path) -> bool:
    return any(f'"pid": {pid},' in path.read_text() for path in folder.glob("runs/*/attempts/*/attempt.json"))


@dataclass
class QueuedExecutor:
    """Three places without a lease; every job that it was given is noted."""

    device: DeviceType = "cpu"
    places: Sequence[str] = ("node-a", "node-b", NEVER)
    most_slots: int = 1
    notes: Sequence[str] = ("nodes of partition test",)
    gpus: Sequence[Gpu] = ()
    jobs: list[str] = field(default_factory=list)
    workers: list[tuple[str, Queued]] = field(default_factory=list)

    def start_worker(self, place: str, request: WorkerRequest) -> Queued:
        preempted = place == "node-a" and place not in dict(self.workers)
        job = worker_job(request.paths, request.session, place=place)
        queued = Queued(job.command, request.paths.folder if preempted else None, never=place == NEVER)
        self.workers.append((place, queued))
        return queued

    def judge(self, attempts: Mapping[AttemptPaths, AttemptRecord]) -> Mapping[AttemptPaths, str]:
        return {}

    def end_attempt(self, record: AttemptRecord) -> None:
        pass

    def describe_submission(self, paths: StudyPaths) -> str | None:
        return None

    def start_job(self, job: Job) -> Queued:
        self.jobs.append(job.arguments[0] if job.on_device else job.module)
        return Queued(job.command)

    def run_job(self, job: Job, text: str) -> JobOutput:
        self.jobs.append(job.arguments[0])
        done = subprocess.run(job.command, input=text, capture_output=True, text=True, cwd="/", check=False)
        return JobOutput(done.returncode, done.stdout, done.stderr)

    def open(self, wanted: Wanted) -> QueuedExecutor:
        return self
