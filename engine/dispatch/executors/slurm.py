"""Starts workers as jobs of Slurm: one job in each place, which claims runs by itself as a worker of this machine does.

Only sbatch, squeue, scancel and srun are used. A place whose job has ended is filled by another one; a supervisor that
follows one that died finds its jobs by their name, and submits none twice.
"""

from __future__ import annotations

import hashlib
import logging
import signal
import subprocess
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from engine.dispatch.children import poll_group, stop_group
from engine.dispatch.executors.base import JobOutput, SlurmWanted, Wanted, WorkerRequest, WorkerState
from engine.dispatch.executors.local import LocalJob, start_here
from engine.dispatch.executors.slurm_queue import (
    PERIOD_S,
    JobQueue,
    ask,
    clean_environment,
    refuse_missing,
)
from engine.dispatch.executors.slurm_script import name_log, write_run, write_script
from engine.dispatch.executors.slurm_words import explain_refusal, explain_wait, is_passing, is_refusal
from engine.dispatch.jobs import Job, worker_job
from engine.dispatch.visible import Gpu
from engine.errors import NondetError
from engine.recipe import DeviceType
from engine.study.beats import WORTH_TELLING_S
from engine.study.files import make_folder
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.run_records import AttemptRecord

LOG = logging.getLogger(__name__)

TAKEN_AWAY = frozenset(["CANCELLED", "PREEMPTED", "NODE_FAIL", "TIMEOUT", "BOOT_FAIL", "DEADLINE", "REVOKED"])
"""States of a job that others ended."""

GONE = 1
"""The exit status of a job that Slurm has forgotten: nobody can say how it ended."""


def name_jobs(paths: StudyPaths) -> str:
    """Return the name of all jobs of a study, which no other study's have."""
    return f"nondet-{hashlib.sha256(str(paths.folder.resolve()).encode()).hexdigest()[:12]}"


@dataclass
class Requests:
    """Keeps a job from being told the same thing again and again: whoever waits for its end asks many times."""

    made: dict[bool, float] = field(default_factory=dict[bool, float])

    def is_due(self, *, at_once: bool) -> bool:
        """Tell whether it is time to say it, for the first time or once more."""
        now = time.monotonic()
        due = now - self.made.get(at_once, -1e9) >= PERIOD_S
        if due:
            self.made[at_once] = now
        return due


@dataclass
class SlurmWorker:
    """Holds the job of a place; where Slurm could not be asked for one yet, that is tried again."""

    queue: JobQueue
    script: str
    job: str | None = None
    since: float = -1e9
    """When it was submitted: what squeue said before that knows nothing of it."""
    tried: float = -1e9
    obstacle: str | None = None
    """Why it could not be submitted."""
    status: int | None = None
    requests: Requests = field(default_factory=Requests)

    def submit(self) -> None:
        """Hand the job to Slurm.

        Raises:
            NondetError: If Slurm refuses it for good.
        """
        self.tried = time.monotonic()
        answer = ask(["sbatch", "--parsable"], text=self.script)
        if answer.status == 0:
            self.job, self.since, self.obstacle = answer.text.strip().partition(";")[0], self.tried, None
            self.queue.expect()
        elif answer.status is None or is_passing(answer.errors):
            self.obstacle = f"waiting: Slurm takes no job now ({answer.errors.strip().splitlines()[-1]})"
        else:
            raise NondetError(explain_refusal(answer.errors))

    def poll(self) -> int | None:
        """Return the exit status once the job has ended; None before."""
        if self.status is None:
            self.queue.look()
            self.status = self._find_end()
        return self.status

    def _find_end(self) -> int | None:
        if self.job is None:
            return self._try_again()
        if not self.queue.has_answered(self.since):
            return None
        found = self.queue.jobs.get(self.job)
        if found is None:
            return GONE
        if found.alive:
            return None
        return -signal.SIGTERM if found.state in TAKEN_AWAY else found.status

    def _try_again(self) -> int | None:
        if time.monotonic() - self.tried < PERIOD_S:
            return None
        try:
            self.submit()
        except NondetError as error:
            LOG.error("%s", error)
            return GONE
        return None

    def stop(self, *, at_once: bool = False) -> None:
        """Let Slurm end the job: it asks the worker first; with `at_once` it kills it."""
        if self.job is None:
            self.status = -signal.SIGTERM
        elif self.status is None and self.requests.is_due(at_once=at_once):
            ask(["scancel", *(["--signal=KILL"] if at_once else []), self.job])
            self.queue.hurry()

    def describe(self) -> WorkerState:
        """Return what squeue says of the job, in words."""
        if self.job is None:
            return WorkerState("waiting", self.obstacle)
        found = self.queue.jobs.get(self.job)
        if found is None:
            return WorkerState("starting", self.queue.obstacle, job=self.job)
        if found.waits:
            return WorkerState("waiting", explain_wait(found.reason), job=self.job)
        return WorkerState("training", self.queue.obstacle, host=found.node or None, job=self.job)

    def end_silent(self, training: Collection[int]) -> str | None:
        """Leave it alone: Slurm ends it at its time limit."""
        return None


@dataclass
class SlurmJob:
    """Holds a job of the cluster that srun waits for here."""

    process: subprocess.Popen[str]
    queue: JobQueue
    requests: Requests = field(default_factory=Requests)

    def poll(self) -> int | None:
        """Return the exit status once it has ended."""
        return poll_group(self.process)

    def stop(self, *, at_once: bool = False) -> None:
        """Let Slurm end it, and srun with it."""
        if self.process.returncode is None and self.requests.is_due(at_once=at_once):
            ask(["scancel", *(["--signal=KILL"] if at_once else []), f"--name={self.queue.name}"])
            stop_group(self.process, at_once=at_once)

    @property
    def obstacle(self) -> str | None:
        """Say what it waits for."""
        self.queue.look()
        waiting = [job for job in self.queue.jobs.values() if job.waits]
        return explain_wait(waiting[0].reason) if waiting else self.queue.obstacle


@dataclass
class SlurmExecutor:
    """Has a number of jobs as places; see `base.Executor`."""

    device: DeviceType
    wanted: SlurmWanted
    workers: int
    queues: dict[StudyPaths, JobQueue] = field(default_factory=dict[StudyPaths, JobQueue])
    started: dict[str, SlurmWorker] = field(default_factory=dict[str, SlurmWorker])
    """Place → its latest worker."""

    @property
    def places(self) -> Sequence[str]:
        """Return a name for each job."""
        return tuple(f"slurm:{number}" for number in range(self.workers))

    @property
    def most_slots(self) -> int:
        """Return 1: each job has one worker."""
        return 1

    @property
    def notes(self) -> Sequence[str]:
        """Say nothing: what the nodes are like is seen once jobs run there."""
        return ()

    @property
    def gpus(self) -> Sequence[Gpu]:
        """Return none: each attempt says itself on which GPU it was made."""
        return ()

    def describe_submission(self, paths: StudyPaths) -> str:
        """Return the script that is submitted for a place of a study."""
        return self._write_script(WorkerRequest(paths, "SESSION"), self.places[0])

    def _write_script(self, request: WorkerRequest, place: str) -> str:
        job = worker_job(request.paths, request.session, place=place)
        log = name_log(request.paths.jobs)
        return write_script(self.wanted, name=name_jobs(request.paths), log=log, command=job.command)

    def start_worker(self, place: str, request: WorkerRequest) -> SlurmWorker:
        """Submit a job for a place, or take over one that an earlier supervisor submitted.

        Raises:
            NondetError: If Slurm refuses it for good.
        """
        queue = self.queues.setdefault(request.paths, JobQueue(name_jobs(request.paths)))
        worker = SlurmWorker(queue, self._write_script(request, place))
        uncertain = any(one.job is None and one.obstacle for one in self.started.values())
        if (queue.answered < 0 or uncertain) and not queue.ask_now():
            worker.obstacle, worker.tried = queue.obstacle, time.monotonic()
            self.started[place] = worker
            return worker
        held = {one.job for one in self.started.values()}
        free = [job for job in queue.jobs.values() if job.alive and job.id not in held]
        if free:
            LOG.info("%s: takes over job %s", place, free[0].id)
            worker.job = free[0].id
        else:
            make_folder(request.paths.jobs)
            worker.submit()
        self.started[place] = worker
        return worker

    def judge(self, attempts: Mapping[AttemptPaths, AttemptRecord]) -> Mapping[AttemptPaths, str]:
        """Return the attempts whose jobs have ended or were put back, as squeue says; none while it does not answer."""
        ended: dict[AttemptPaths, str] = {}
        for attempt, record in attempts.items():
            queue = self.queues.get(StudyPaths(attempt.folder.parents[3]))
            if record.job is None or queue is None or queue.answered < 0 or queue.obstacle is not None:
                continue
            number, _, restarts = record.job.partition(".")
            found = queue.jobs.get(number)
            if found is None:
                ended[attempt] = f"job {number} is no longer in Slurm's queue"
            elif not found.alive:
                ended[attempt] = f"job {number} has ended ({found.state})"
            elif found.waits or found.restarts > int(restarts or 0):
                ended[attempt] = f"job {number} was put back into Slurm's queue"
        return ended

    def end_attempt(self, record: AttemptRecord) -> None:
        """Let Slurm end the job that makes an attempt."""
        if record.job is not None:
            ask(["scancel", record.job.partition(".")[0]])

    def start_job(self, job: Job) -> SlurmJob | LocalJob:
        """Start a job on the cluster, or here where it needs no device."""
        if not job.on_device:
            return start_here(job)
        queue = JobQueue(f"nondet-job-{uuid.uuid4().hex[:12]}")
        command = write_run(self.wanted, name=queue.name, command=job.command)
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, cwd="/", env=clean_environment(), process_group=0, text=True
            )
        except FileNotFoundError as error:
            raise refuse_missing("srun") from error
        return SlurmJob(process, queue)

    def run_job(self, job: Job, text: str) -> JobOutput:
        """Run a job on the cluster to its end; how long it waits for its turn is said.

        Raises:
            NondetError: If Slurm refuses it.
        """
        queue = JobQueue(f"nondet-trial-{uuid.uuid4().hex[:12]}")
        command = write_run(self.wanted, name=queue.name, command=job.command)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=clean_environment(),
                cwd="/",
                process_group=0,
            )
        except FileNotFoundError as error:
            raise refuse_missing("srun") from error
        running = SlurmJob(process, queue)
        try:
            output = _attend(running, text)
        finally:
            running.stop(at_once=True)
        if output.status and not output.text and is_refusal(output.errors):
            raise NondetError(explain_refusal(output.errors))
        return output


def _attend(job: SlurmJob, text: str) -> JobOutput:
    """Wait for the end of a job, and say now and then what it waits for."""
    started, told_s = time.monotonic(), WORTH_TELLING_S / 4
    while True:
        try:
            out, errors = job.process.communicate(text or None, timeout=0.5)
        except subprocess.TimeoutExpired:
            text = ""  # it has been handed over
        else:
            return JobOutput(job.process.returncode, out, errors)
        waited_s = time.monotonic() - started
        if waited_s >= told_s:
            why = job.obstacle
            LOG.warning(
                "trying out data and models on the cluster for %.0f s so far%s", waited_s, f": {why}" if why else ""
            )
            told_s *= 2


def open_slurm(wanted: Wanted) -> SlurmExecutor:
    """Make the executor of a cluster; Slurm is asked nothing yet."""
    return SlurmExecutor("cuda" if wanted.devices == "cuda" else "cpu", wanted.slurm, wanted.workers)
