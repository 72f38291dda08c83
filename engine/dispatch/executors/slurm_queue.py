"""Asks Slurm's own commands, and keeps what squeue says for all places of a study at once.

Text in an explicit format is read: JSON differs between releases of Slurm, and sacct is missing where there is no
accounting. Variables of a job, in which the program itself may run, are kept from the commands.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.errors import NondetError

LOG = logging.getLogger(__name__)

PERIOD_S = 12.0
"""Seconds between two looks at the queue, which is a controller's for everybody."""

SOON_S = 2.0
"""Seconds until the first look at a job that was submitted."""

MOST_CALLS = 6
"""Looks in a minute at most, but for jobs whose ends were asked for."""

HURRY_S = 1.0
"""The same for a while after jobs were told to end: they are waited for."""

MINUTE_S = 60.0

ANSWER_S = 30.0
"""How long a command may take; longer ones have no answer."""

VARIABLES = ("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "SRUN_", "SALLOC_")
KEPT = "SLURM_CONF"

FIELDS = ("JobID", "State", "Reason", "NodeList", "RestartCnt", "exit_code")

QUEUED = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT", "CONFIGURING"}
)
"""States of a job that has no process."""

ALIVE = QUEUED | {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"}
"""States of a job that has not ended."""


@dataclass(frozen=True)
class Answer:
    """Holds what a command answered."""

    status: int | None
    """None where there was no answer in time."""
    text: str
    errors: str


@dataclass(frozen=True)
class QueuedJob:
    """One job as squeue shows it."""

    id: str
    state: str
    reason: str
    node: str
    restarts: int
    status: int
    """How it ended, as `subprocess.Popen.returncode` has it; 0 before."""

    @property
    def alive(self) -> bool:
        """Tell whether it has not ended."""
        return self.state in ALIVE

    @property
    def waits(self) -> bool:
        """Tell whether it has no process: it has not started, or is to start again."""
        return self.state in QUEUED


def clean_environment() -> dict[str, str]:
    """Return this process's variables without those that would change what Slurm's commands do."""
    return {name: value for name, value in os.environ.items() if name == KEPT or not name.startswith(VARIABLES)}


def ask(arguments: Sequence[str], *, text: str = "") -> Answer:
    """Run one of Slurm's commands to its end.

    Raises:
        NondetError: If there is no such command here.
    """
    try:
        done = subprocess.run(
            arguments,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_S,
            env=clean_environment(),
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(None, "", f"{arguments[0]} did not answer within {ANSWER_S:.0f} s")
    except FileNotFoundError as error:
        raise refuse_missing(arguments[0]) from error
    return Answer(done.returncode, done.stdout, done.stderr)


def refuse_missing(program: str) -> NondetError:
    """Return the error of a machine without Slurm's commands."""
    return NondetError(
        f"dispatch.executor: there is no {program} on this machine: run this on a login node of the cluster, or use "
        'executor = "local"'
    )


def parse_jobs(text: str) -> dict[str, QueuedJob]:
    """Read what squeue printed in the format of `FIELDS`; a line that has another form is left out."""
    jobs: dict[str, QueuedJob] = {}
    for line in text.splitlines():
        values = [value.strip() for value in line.split("|")]
        if len(values) < len(FIELDS) or not values[0].isdigit():
            continue
        number, state, reason, node, restarts, status = values[: len(FIELDS)]
        ended = os.waitstatus_to_exitcode(int(status)) if status.isdigit() else 0
        jobs[number] = QueuedJob(number, state, reason, node, int(restarts) if restarts.isdigit() else 0, ended)
    return jobs


@dataclass
class JobQueue:
    """Keeps the jobs of one name as squeue showed them last; it is asked in the background."""

    name: str
    jobs: dict[str, QueuedJob] = field(default_factory=dict[str, QueuedJob])
    answered: float = -1e9
    """When the question was put that was answered last."""
    asked: float = -1e9
    due: float = -1e9
    """When the next question is to be put."""
    hurried: float = -1e9
    """Until when quick answers matter."""
    latest: deque[float] = field(default_factory=lambda: deque[float](maxlen=MOST_CALLS))
    """When the latest questions were put."""
    obstacle: str | None = None
    """Why there is no answer; None where there is one."""
    process: subprocess.Popen[str] | None = None

    @property
    def command(self) -> list[str]:
        """Return the question: all jobs of the name, those too that ended a while ago."""
        wanted = ",".join(f"{one}:|" for one in FIELDS)
        return ["squeue", "--noheader", "--states=all", f"--name={self.name}", f"--Format={wanted}"]

    def look(self) -> None:
        """Take an answer that has come, and ask again when it is time for that."""
        now = time.monotonic()
        if self.process is not None:
            self._take(now)
        elif self.is_due(now):
            self._note(now)
            try:
                self.process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    env=clean_environment(),
                    cwd="/",
                )
            except FileNotFoundError as error:
                raise refuse_missing("squeue") from error

    def is_due(self, now: float) -> bool:
        """Tell whether it is time to ask."""
        if now < self.hurried:
            return now - self.asked >= HURRY_S
        spent = len(self.latest) == MOST_CALLS and now - self.latest[0] < MINUTE_S
        return now >= self.due and not spent

    def _note(self, now: float) -> None:
        self.asked, self.due = now, now + PERIOD_S
        self.latest.append(now)

    def _take(self, now: float) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            if now - self.asked > ANSWER_S:
                self.process.kill()
            return
        text, errors = self.process.communicate()
        self.take(Answer(self.process.returncode, text, errors))
        self.process = None

    def take(self, answer: Answer) -> None:
        """Keep what squeue answered; where it did not, what it said before is kept, and why."""
        if answer.status == 0:
            self.jobs, self.answered, self.obstacle = parse_jobs(answer.text), self.asked, None
        else:
            said = answer.errors.strip().splitlines()
            self.obstacle = f"Slurm does not answer: {said[-1] if said else 'squeue failed'}"

    def ask_now(self) -> bool:
        """Ask, and wait for the answer; return whether there was one."""
        self._note(time.monotonic())
        self.take(ask(self.command))
        return self.obstacle is None

    def expect(self) -> None:
        """Ask soon: a job was submitted."""
        self.due = min(self.due, time.monotonic() + SOON_S)

    def hurry(self) -> None:
        """Ask more often for a while: some jobs were told to end."""
        self.hurried = time.monotonic() + ANSWER_S

    def has_answered(self, since: float) -> bool:
        """Tell whether a question has been answered that was put after a moment."""
        return self.answered > since
