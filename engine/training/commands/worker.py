"""The worker of a user's own program: claims one run after another, has the program run, and takes what it leaves."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from engine.dispatch.endings import name_signal, write_end
from engine.dispatch.jobs import EXIT_FENCED, EXIT_STORE_FULL
from engine.dispatch.one_model import claim_on_model
from engine.dispatch.queue import NotTaken, RunQueue, Taken
from engine.errors import NondetError, StoreUnavailableError
from engine.recipe import CommandRecipe, Recipe
from engine.study.epochs import EpochRecord, append_epoch, read_epochs
from engine.study.files import explain_write_errors, make_folder, remove_file
from engine.study.opening import open_to_append
from engine.study.paths import AttemptPaths, StudyPaths
from engine.study.run_records import AttemptRecord, Cause, Resumption, is_fenced, read_recipe, write_exit
from engine.study.run_records import Outcome as Ending
from engine.study.selftest_record import REFUSED
from engine.study.study_plan import CommandSettings, StudyPlan, read_plan
from engine.training.commands.outcome import Finished, take_outcome
from engine.training.commands.program import LOOK_S, Asked, Ended, Program, read_last_line, start_program
from engine.training.commands.reports import Reports
from engine.training.commands.resuming import Cut, Point, clear_out, find_checkpoint, find_point
from engine.training.commands.selftest import judge
from engine.training.commands.settings import OUT, describe_attempt, make_environment, make_words, number_replica
from engine.training.full_store import patiently
from engine.training.isolation import adopt_orphans
from engine.training.pulse import Pulse
from engine.training.stopping import CONTROL_PERIOD_S, Fenced, Requests
from engine.training.time_left import TimeLeft

LOG = logging.getLogger(__name__)


CUT_LOOK_S = 0.02
"""How often a program is looked at that is to be cut at its first checkpoint: it may be a quick one."""


@dataclass(frozen=True)
class Job:
    """One claimed run, with what its program is started by."""

    plan: StudyPlan
    settings: CommandSettings
    recipe: Recipe
    command: CommandRecipe
    run_id: str
    attempt: AttemptPaths

    @property
    def out(self) -> Path:
        return self.attempt.folder / OUT


@dataclass(frozen=True)
class Part:
    """One run of the program: an attempt has two where it was cut, or did not go on from a checkpoint."""

    ended: Ended
    epochs: int
    seconds: float


@dataclass
class CommandWorker:
    """Holds what a worker of one study needs; see `work`."""

    paths: StudyPaths
    session: str
    slot: str
    requests: Requests
    queue: RunQueue
    record: AttemptRecord
    time_left: TimeLeft
    selftest_only: bool = False

    def claim(self) -> Taken | NotTaken:
        """Claim the next run: those of the self-test first, and the others once it has not refused them.

        Runs of a refused program are claimed too, and end at once with the reason.

        Raises:
            NondetError: If what is left has to be trained on another model of device.
        """
        plan = read_plan(self.paths)
        control = self.requests.look()
        if control.cancelled:
            return NotTaken.NOTHING_LEFT
        verdict = judge(self.paths, plan.selftest, control=control, session=self.session)
        # A program cannot be cut and go on elsewhere: where time is short, nothing is started.
        hurried = self.time_left.choose(self.paths, plan) is not None
        if not verdict.decided and plan.selftest is not None and not hurried:
            taken = self._claim(plan, plan.selftest.runs, alone=False)
            return NotTaken.WAIT if taken is NotTaken.NOTHING_LEFT else taken
        if self.selftest_only or hurried:
            return NotTaken.NOTHING_LEFT
        while True:
            taken = self._claim(plan, None)
            if verdict.refusal is None or isinstance(taken, NotTaken):
                return taken
            write_exit(taken.attempt, "failed", "fault", f"{REFUSED}{verdict.refusal}")

    def _claim(self, plan: StudyPlan, wanted: Sequence[str] | None, *, alone: bool = True) -> Taken | NotTaken:
        control = self.requests.look()
        with explain_write_errors(self.paths.runs):
            return claim_on_model(self.queue, plan, control=control, record=self.record, wanted=wanted, alone=alone)

    def train(self, taken: Taken) -> None:
        """Run the program for one claimed run, and record how that ended.

        Raises:
            StoreUnavailableError: If the store took nothing for too long.
            Fenced: If the run was taken from this process.
        """
        plan = read_plan(self.paths)
        attempt = taken.attempt
        self.requests.attempt = attempt
        with Pulse(lambda: [attempt.beat], ()) as self.requests.pulse:
            try:
                recipe = patiently(lambda: read_recipe(self.paths.run(taken.run_id), taken.run_id))
                if plan.command is None or recipe.command is None:
                    raise NondetError(f"{self.paths.run(taken.run_id).spec}: is no command's: run the protocol again")
                self._train(Job(plan, plan.command, recipe, recipe.command, taken.run_id, attempt))
            except (StoreUnavailableError, Fenced):
                raise
            except NondetError as error:
                LOG.error("%s", error)
                _end(attempt, "failed", "fault", str(error))
        self.requests.attempt = None

    def _train(self, job: Job) -> None:
        """Go on from a checkpoint where that is proved, else from the beginning; the latter too if going on fails."""
        resumption: Resumption | None = None
        point: Point | str | None = None
        if job.command.resume is not None:
            point, resumption = self._cut(job)
            if point is None and resumption is None:
                return
        elif job.settings.resume and job.attempt.number > 1:
            point = find_point(self.paths, job.plan.selftest, job.attempt)
            if isinstance(point, str):
                _note(job, f"from its beginning, as {point}")
        if isinstance(point, Point):
            resumption = Resumption(attempt=point.attempt)
            _note(job, f"goes on from the checkpoint of attempt {point.attempt}")
            fault = self._finish(job, self._run(job, point=point), resumption)
            if fault is None:
                return
            _note(job, f"from its beginning, as it did not go on from a checkpoint: {fault}")
            _begin_again(job)
            resumption = Resumption(attempt=point.attempt, fault=f"the program did not go on from it: {fault}")
        fault = self._finish(job, self._run(job), resumption)
        if fault is not None:
            _end(job.attempt, "failed", "fault", fault)

    def _cut(self, job: Job) -> tuple[Point | None, Resumption | None]:
        """Kill the program once it has a checkpoint, as a test, and return what it goes on from.

        Returns:
            What it goes on from, and None; or None, and why it could not be tested: it has to begin again. Both are
            None where the run has ended, one way or the other.
        """
        cut = Cut(job.out)
        part = self._run(job, cut=cut)
        if not (cut.done and part.ended.status == -signal.SIGKILL and not part.ended.timed_out):
            untested = Resumption(attempt=job.attempt.number, fault=cut.explain())
            fault = self._finish(job, part, untested)
            if fault is not None:
                _end(job.attempt, "failed", "fault", fault)
            return None, None
        epochs = read_epochs(job.attempt.epochs).records
        aside = _begin_again(job)
        checkpoint = find_checkpoint(aside)
        if checkpoint is None:
            return None, Resumption(attempt=job.attempt.number, fault="its checkpoint was being replaced")
        return Point(job.attempt.number, checkpoint, epochs), None

    def _finish(self, job: Job, part: Part, resumption: Resumption | None) -> str | None:
        """Take what a program has left, or record why there is nothing; return what was wrong if that was its fault."""
        ended = part.ended
        if ended.asked:
            _end(job.attempt, "cancelled", "request", "stopped on request")
        elif ended.status == 0 and not ended.timed_out:
            finished = Finished(
                self.paths, job.plan, job.run_id, job.attempt, job.out, part.epochs, part.seconds, resumption
            )
            try:
                take_outcome(finished, job.command)
            except (StoreUnavailableError, Fenced):
                raise
            except NondetError as error:
                return str(error)
        elif ended.status is not None and ended.status < 0 and not ended.timed_out:
            write_end(job.attempt.run, job.attempt, explain_end(ended, job.attempt.log), ended.status)
        elif ended.untold:
            _end(job.attempt, "failed", "infrastructure", explain_end(ended, job.attempt.log))
        else:
            return explain_end(ended, job.attempt.log)
        return None

    def _run(self, job: Job, *, point: Point | None = None, cut: Cut | None = None) -> Part:
        """Run the program once, from a point or from its beginning; `cut` may kill it on the way."""
        attempt = job.attempt
        make_folder(job.out)

        def on_epoch(record: EpochRecord) -> None:
            patiently(lambda: append_epoch(attempt.epochs, record))
            if self.requests.pulse is not None:
                self.requests.pulse.end_epoch()

        def move() -> None:
            if self.requests.pulse is not None:
                self.requests.pulse.move()

        def look() -> Asked:
            control = self.requests.look()
            end = self.requests.terminated or control.stops(job.run_id)
            return Asked(
                end=end,
                halt=control.holds(job.run_id) and not end,
                cut=cut is not None and not end and cut.is_due(),
            )

        started = time.monotonic()
        program: Program = start_program(
            make_words(job.command, job.settings, job.out, None if point is None else point.checkpoint),
            folder=job.settings.folder,
            environment=make_environment(
                job.recipe, job.command, job.settings, job.out, number_replica(job.plan, job.run_id)
            ),
            log=attempt.log,
            reports=Reports(job.out, None if point is None else point.epochs),
            on_epoch=on_epoch,
            move=move,
            look_s=LOOK_S if cut is None else CUT_LOOK_S,
        )
        try:
            ended = program.follow(look, job.settings.timeout_s)
        finally:
            program.close()
        return Part(ended, program.reports.epochs, time.monotonic() - started)


def _end(attempt: AttemptPaths, outcome: Ending, cause: Cause, reason: str) -> None:
    if not is_fenced(attempt):
        patiently(lambda: write_exit(attempt, outcome, cause, reason))


def _note(job: Job, text: str) -> None:
    """Add a line of ours to what the program prints."""

    def write() -> None:
        with explain_write_errors(job.attempt.log):
            descriptor = open_to_append(job.attempt.log)
            try:
                os.write(descriptor, f"nondet-tui: {text}\n".encode(errors="replace"))
            finally:
                os.close(descriptor)

    patiently(write)


def _begin_again(job: Job) -> Path:
    """Put aside what a part of an attempt has left, which begins again; return where it is now."""
    aside = patiently(lambda: clear_out(job.attempt))
    patiently(lambda: remove_file(job.attempt.epochs))
    return aside


def explain_end(ended: Ended, log: Path) -> str:
    """Say how a program ended without a result, with the last line that it printed."""
    last = read_last_line(log)
    said = f"; its last line: {last}" if last else "; it printed nothing"
    if ended.timed_out:
        return f"{ended.reason}{said}"
    if ended.status is None:
        return ended.reason if ended.untold else f"the program could not be started ({ended.reason})"
    if ended.status < 0:
        name = name_signal(-ended.status)
        hint = ", as the kernel does where memory runs out" if name == "SIGKILL" else ""
        return f"the program was ended by {name}{hint}{said}"
    return f"the program ended with status {ended.status}{said}"


def work(
    paths: StudyPaths, *, slot: str, session: str, time_left: TimeLeft | None = None, selftest_only: bool = False
) -> int:
    """Run the program for what can be claimed of a study, until there is nothing left or the end is asked for.

    Args:
        paths: The study.
        slot: The place that attempts are shown with.
        session: The supervisor's session.
        time_left: When this worker has to end; None where nobody limits it.
        selftest_only: Whether only the runs of the self-test are claimed.

    Returns:
        The process's exit status.
    """
    requests = Requests(paths)

    def end(number: int, frame: FrameType | None) -> None:
        requests.terminated = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end if selftest_only else signal.SIG_IGN)
    adopt_orphans()
    limit = time_left or TimeLeft.begin(None)
    record = describe_attempt(read_plan(paths), session, slot)
    worker = CommandWorker(paths, session, slot, requests, RunQueue(paths, session), record, limit, selftest_only)
    try:
        while not requests.terminated:
            taken = patiently(worker.claim)
            if taken is NotTaken.NOTHING_LEFT:
                return 0
            if isinstance(taken, Taken):
                worker.train(taken)
            else:
                time.sleep(CONTROL_PERIOD_S)
    except StoreUnavailableError as error:
        LOG.error("%s", error)
        return EXIT_STORE_FULL
    except Fenced:
        LOG.error("a run was taken from this process, which was silent for too long")
        return EXIT_FENCED
    return 0
