"""The worker of a user's own program: claims one run after another, has the program run, and takes what it leaves."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from engine.dispatch.endings import write_end
from engine.dispatch.jobs import EXIT_FENCED, EXIT_STORE_FULL
from engine.dispatch.queue import NotTaken, RunQueue, Taken
from engine.errors import NondetError, StoreUnavailableError
from engine.recipe import CommandRecipe, Recipe
from engine.study.epochs import EpochRecord, append_epoch
from engine.study.files import explain_write_errors, make_folder, write_bytes
from engine.study.paths import StudyPaths
from engine.study.run_records import AttemptRecord, Cause, is_fenced, read_recipe, write_exit
from engine.study.run_records import Outcome as Ending
from engine.study.selftest_record import REFUSED
from engine.study.study_plan import CommandSettings, StudyPlan, read_plan
from engine.training.commands.outcome import Finished, take_outcome
from engine.training.commands.program import Asked, Ended, Program, read_last_line, start_program
from engine.training.commands.selftest import judge
from engine.training.commands.settings import OUT, describe_attempt, make_environment, make_words, number_replica
from engine.training.full_store import patiently
from engine.training.isolation import adopt_orphans
from engine.training.pulse import Pulse
from engine.training.stopping import CONTROL_PERIOD_S, Fenced, Requests
from engine.training.time_left import TimeLeft

LOG = logging.getLogger(__name__)


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
        """
        plan = read_plan(self.paths)
        control = self.requests.look()
        if control.cancelled:
            return NotTaken.NOTHING_LEFT
        verdict = judge(self.paths, plan.selftest, control=control, session=self.session)
        if not verdict.decided and plan.selftest is not None:
            taken = self._claim(plan, plan.selftest.runs)
            return NotTaken.WAIT if taken is NotTaken.NOTHING_LEFT else taken
        if self.selftest_only:
            return NotTaken.NOTHING_LEFT
        while True:
            # A program cannot be cut and go on elsewhere: where time is short, nothing is started.
            taken = self._claim(plan, None if self.time_left.choose(self.paths, plan) is None else ())
            if verdict.refusal is None or isinstance(taken, NotTaken):
                return taken
            write_exit(taken.attempt, "failed", "fault", f"{REFUSED}{verdict.refusal}")

    def _claim(self, plan: StudyPlan, wanted: Sequence[str] | None) -> Taken | NotTaken:
        with explain_write_errors(self.paths.runs):
            return self.queue.claim_next(plan, control=self.requests.look(), record=self.record, wanted=wanted)

    def train(self, taken: Taken) -> None:
        """Run the program for one claimed run, and record how that ended.

        Raises:
            StoreUnavailableError: If the store took nothing for too long.
            Fenced: If the run was taken from this process.
        """
        plan = read_plan(self.paths)
        attempt = taken.attempt

        def end(outcome: Ending, cause: Cause, reason: str) -> None:
            if not is_fenced(attempt):
                patiently(lambda: write_exit(attempt, outcome, cause, reason))

        self.requests.attempt = attempt
        with Pulse(lambda: [attempt.beat], ()) as self.requests.pulse:
            try:
                recipe = patiently(lambda: read_recipe(self.paths.run(taken.run_id), taken.run_id))
                if plan.command is None or recipe.command is None:
                    raise NondetError(f"{self.paths.run(taken.run_id).spec}: is no command's: run the protocol again")
                ended, finished = self._run(plan, plan.command, recipe, recipe.command, taken)
                if ended.asked:
                    end("cancelled", "request", "stopped on request")
                elif ended.status == 0 and not ended.timed_out:
                    take_outcome(finished, recipe.command)
                elif ended.status is not None and ended.status < 0 and not ended.timed_out:
                    reason = explain_end(ended, attempt.log)
                    write_end(self.paths.run(taken.run_id), attempt, reason, ended.status)
                else:
                    lost = ended.status is None and not ended.timed_out and ended.reason.endswith("killed")
                    end("failed", "infrastructure" if lost else "fault", explain_end(ended, attempt.log))
            except (StoreUnavailableError, Fenced):
                raise
            except NondetError as error:
                LOG.error("%s", error)
                end("failed", "fault", str(error))
        self.requests.attempt = None

    def _run(
        self, plan: StudyPlan, settings: CommandSettings, recipe: Recipe, command: CommandRecipe, taken: Taken
    ) -> tuple[Ended, Finished]:
        attempt, out = taken.attempt, taken.attempt.folder / OUT
        make_folder(out)
        words = make_words(command, settings, out)
        if settings.resume and attempt.number > 1:
            note = b"nondet-tui: from its beginning, as nothing proves that going on is bit-identical\n"
            patiently(lambda: write_bytes(attempt.log, note))
        replica = number_replica(plan, taken.run_id)

        def on_epoch(record: EpochRecord) -> None:
            patiently(lambda: append_epoch(attempt.epochs, record))
            if self.requests.pulse is not None:
                self.requests.pulse.end_epoch()

        def move() -> None:
            if self.requests.pulse is not None:
                self.requests.pulse.move()

        def look() -> Asked:
            control = self.requests.look()
            end = self.requests.terminated or control.stops(taken.run_id)
            return Asked(end=end, halt=control.holds(taken.run_id) and not end)

        started = time.monotonic()
        program: Program = start_program(
            words,
            folder=settings.folder,
            environment=make_environment(recipe, command, settings, out, replica),
            log=attempt.log,
            out=out,
            on_epoch=on_epoch,
            move=move,
        )
        try:
            ended = program.follow(look, settings.timeout_s)
        finally:
            program.close()
        seconds = time.monotonic() - started
        epochs = program.reports.epochs
        return ended, Finished(self.paths, plan, taken.run_id, attempt, out, epochs, seconds)


def explain_end(ended: Ended, log: Path) -> str:
    """Say how a program ended without a result, with the last line that it printed."""
    last = read_last_line(log)
    said = f"; its last line: {last}" if last else "; it printed nothing"
    if ended.timed_out:
        return f"{ended.reason}{said}"
    if ended.status is None:
        return (
            f"the program could not be started ({ended.reason})"
            if not ended.reason.endswith("killed")
            else ended.reason
        )
    if ended.status < 0:
        name = signal.Signals(-ended.status).name if -ended.status in set(signal.Signals) else str(-ended.status)
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
