"""The worker: claims one run after another, has it trained, and records how each attempt ended.

Everything that a run's result depends on is in its recipe; what is here decides when it is trained, never how.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

import torch

from engine.dispatch.endings import record_ends, write_end
from engine.dispatch.jobs import EXIT_FENCED, EXIT_STORE_FULL
from engine.dispatch.one_model import claim_on_model
from engine.dispatch.queue import NotTaken, RunQueue
from engine.errors import NondetError, StoreUnavailableError, summarise_error
from engine.recipe import Recipe
from engine.study.files import explain_write_errors, remove_file
from engine.study.logs import BoundedLog
from engine.study.opening import is_there, open_to_append
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from engine.study.run_records import AttemptRecord, Cause, is_fenced, read_recipe, write_exit
from engine.study.run_records import Outcome as Ending
from engine.study.study_plan import read_plan
from engine.training.cohort import ClaimMore, gather, train_cohort
from engine.training.data.datasets import Dataset
from engine.training.data.repeatable import require_same_data
from engine.training.full_store import patiently
from engine.training.isolation import EXIT_NOTHING_LEFT, train_apart
from engine.training.memory import breaks_context, explain_shortage, is_out_of_memory, release
from engine.training.pulse import Pulse
from engine.training.recording.recorder import is_spent
from engine.training.room import Rooms, count_side_by_side
from engine.training.run_files import (
    Claimed,
    Datasets,
    describe_attempt,
    load_once,
    write_labels,
)
from engine.training.stopping import CONTROL_PERIOD_S, Fenced, Requests, Stopped
from engine.training.time_left import TimeLeft
from engine.training.user_functions import check_unchanged, refuse_untrusted

LOG = logging.getLogger(__name__)

MOST_STATUS = 255
"""The largest exit status of a process."""


@dataclass
class Kept:
    """Holds what a worker knows from one run to the next."""

    session: str
    """The supervisor's, which its attempts belong to."""
    datasets: Datasets = field(default_factory=Datasets)
    rooms: Rooms = field(default_factory=Rooms)


def work(paths: StudyPaths, *, slot: str, session: str, time_left: TimeLeft) -> int:
    """Train what can be claimed of a study, until there is nothing left, no time for it, or the end is asked for.

    Returns:
        The process's exit status.

    Raises:
        NondetError: If the study's device is not there.
    """
    plan = read_plan(paths)
    if plan.own_process:
        return train_apart(
            lambda: _work(paths, slot=slot, session=session, time_left=time_left, once=True),
            lambda pid, status: _record_copy(paths, session, pid, status),
        )
    return _work(paths, slot=slot, session=session, time_left=time_left, once=False)


def _record_copy(paths: StudyPaths, session: str, pid: int, status: int) -> bool:
    """Record how a copy of this process ended; return whether it had claimed a run."""
    me = current_owner()

    def belongs(claimed: AttemptRecord) -> bool:
        owner = claimed.owner
        there = (owner.host, owner.boot_id, owner.pid_namespace) == (me.host, me.boot_id, me.pid_namespace)
        return there and owner.pid == pid and claimed.session == session and owner.start_ticks >= me.start_ticks

    return record_ends(paths, read_plan(paths).order, belongs, status) > 0


def _work(paths: StudyPaths, *, slot: str, session: str, time_left: TimeLeft, once: bool) -> int:
    """Train what can be claimed, or only one run or pack; see `train_apart` for what is returned then."""
    require_device(read_plan(paths).device)
    requests = Requests(paths)

    def end(number: int, frame: FrameType | None) -> None:
        requests.terminated = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    queue = RunQueue(paths, session)
    kept = Kept(session)

    def claim(wanted: Sequence[str] | None = None) -> Claimed | NotTaken:
        return patiently(lambda: _claim(queue, requests, wanted, time_left, slot=slot))

    while not requests.terminated:
        try:
            claimed = claim()
        except StoreUnavailableError as error:
            LOG.error("%s", error)
            return EXIT_STORE_FULL
        if claimed is NotTaken.NOTHING_LEFT:
            return EXIT_NOTHING_LEFT if once else 0
        if not isinstance(claimed, Claimed):
            time.sleep(CONTROL_PERIOD_S)
            continue
        status = _train_claimed(claimed, requests, kept, claim)
        if status is not None or once:
            return status or 0
    return 0


def require_device(kind: str) -> None:
    """Make sure that there is a device of the kind that the runs are planned for, before any run is claimed.

    Raises:
        NondetError: If there is none.
    """
    if kind == "cuda" and not torch.cuda.is_available():
        seen = os.environ.get("CUDA_VISIBLE_DEVICES")
        raise NondetError(
            f"the runs are planned for cuda, and torch finds no GPU on {socket.gethostname()} (CUDA_VISIBLE_DEVICES is "
            f"{'not set' if seen is None else repr(seen)}): ask for one, as with slurm.gres, or check the driver there"
        )


def _claim(
    queue: RunQueue, requests: Requests, wanted: Sequence[str] | None, time_left: TimeLeft, *, slot: str
) -> Claimed | NotTaken:
    """Claim the next run of the plan as it stands now, or one of some of its runs, that can end in time.

    Raises:
        NondetError: If what is left has to be trained on another model of device.
    """
    plan = read_plan(queue.paths)
    control = requests.look()
    if control.cancelled:
        return NotTaken.NOTHING_LEFT
    record = describe_attempt(queue.session, slot)
    runs = time_left.choose(queue.paths, plan) if wanted is None else wanted
    with explain_write_errors(queue.paths.runs):
        taken = claim_on_model(queue, plan, control=control, record=record, wanted=runs, alone=wanted is None)
    return taken if isinstance(taken, NotTaken) else Claimed(queue.paths, plan, taken.run_id, taken.attempt)


def _train_claimed(claimed: Claimed, requests: Requests, kept: Kept, claim_more: ClaimMore) -> int | None:
    """Train one claimed run and record how that ended.

    Returns:
        An exit status where this process must not go on; None where it may claim the next run.
    """
    try:
        with _output_to(claimed.attempt.log):
            return _train_guarded(claimed, requests, kept, claim_more)
    except StoreUnavailableError as error:
        LOG.error("%s", error)
        return EXIT_STORE_FULL
    except Fenced:
        LOG.error("%s: was taken from this process, which was silent for too long", claimed.attempt.folder)
        return EXIT_FENCED
    finally:
        requests.attempt = None


def _train_guarded(claimed: Claimed, requests: Requests, kept: Kept, claim_more: ClaimMore) -> int | None:
    """Train a claimed run with its companions; a store that is away is the caller's matter. See `_train_claimed`."""
    cohort, requests.attempt = [claimed], claimed.attempt
    log = BoundedLog(claimed.attempt.log)
    with Pulse(lambda: [m.attempt.beat for m in cohort], claimed.plan.search_folders, also=log.bound) as requests.pulse:
        return _train_cohort(cohort, requests, kept, claim_more)


def _train_cohort(cohort: list[Claimed], requests: Requests, kept: Kept, claim_more: ClaimMore) -> int | None:
    claimed = cohort[0]
    recipe: Recipe | None = None
    try:
        recipe = patiently(partial(read_recipe, claimed.run, claimed.run_id))
        refuse_untrusted(recipe, search_path=claimed.plan.search_folders, trusted=claimed.plan.trusted)
        check_unchanged(recipe, search_path=claimed.plan.search_folders)
        data = load_once(recipe, claimed, kept.datasets)
        if isinstance(data, Dataset):
            require_same_data(claimed.study, recipe.data, data)
        write_labels(claimed.study, data)
        count = count_side_by_side(claimed, recipe, data, session=kept.session, rooms=kept.rooms)
        gather(cohort, recipe, claim_more, session=kept.session, side_by_side=count)
        train_cohort(cohort, data, requests)
    except Stopped:
        _end(cohort, "cancelled", "request", "stopped on request")
    except (StoreUnavailableError, Fenced):
        raise
    except NondetError as error:
        LOG.error("%s", error)
        _end(cohort, "failed", "fault", str(error))
    except Exception as error:  # whatever a user's module raises fails the run and does not end the worker
        traceback.print_exc()
        if _record_exception(cohort, error):
            return 1
    except BaseException as error:  # a user's code that wants to leave: sys.exit, or an interrupt of its own
        traceback.print_exc()
        _record_leaving(cohort, error)
    else:
        for member in cohort:
            if not is_there(member.attempt.exit):  # one that was stopped may go on from its checkpoint
                patiently(partial(remove_file, member.attempt.checkpoint))
    if recipe is not None and recipe.pack is None and len(cohort) > 1:
        release()  # the next ones side by side may need all the memory that these took
    # The kernels that autotuning chose last as long as the process, so free kernels need a fresh one per run; and one
    # in which a recording failed keeps memory for it.
    return 0 if is_spent() or (recipe is not None and recipe.lowlevel == "kernels") else None


def _end(cohort: Sequence[Claimed], outcome: Ending, cause: Cause, reason: str) -> None:
    for member in cohort:
        if not is_fenced(member.attempt) and not is_there(member.attempt.exit):
            patiently(partial(write_exit, member.attempt, outcome, cause, reason))


def _record_exception(cohort: Sequence[Claimed], error: Exception) -> bool:
    """Record why some runs failed; return whether this process is of no further use.

    After a failed recording any error may be due to that, so it is tried again in another process: so is an error of a
    user's code, which then comes again there.
    """
    reason = summarise_error(error)
    broken = breaks_context(error) or is_spent()  # and with the context this process
    if is_out_of_memory(error):
        recipe = read_recipe(cohort[0].run, cohort[0].run_id)
        cause, reason = explain_shortage(recipe, reason, side_by_side=len(cohort))
        _end(cohort, "failed", cause, reason)
    else:
        _end(cohort, "failed", "infrastructure" if broken else "fault", reason)
    return broken


def _record_leaving(cohort: Sequence[Claimed], error: BaseException) -> None:
    """Write down that a user's code raised something that is meant to end the process; see `write_end`."""
    code = error.code if isinstance(error, SystemExit) else 1
    status = code if isinstance(code, int) and 0 <= code <= MOST_STATUS else 0 if code is None else 1
    for member in cohort:
        write_end(member.run, member.attempt, f"raised {summarise_error(error)}", status)


@contextlib.contextmanager
def _output_to(log: Path) -> Generator[None]:
    """Send everything that is printed, by C code too, to the attempt's log."""
    saved = [os.dup(1), os.dup(2)]
    descriptor = patiently(lambda: _open_log(log))
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        yield
    finally:
        with contextlib.suppress(OSError):  # a full disk must not hide what happened before it
            sys.stdout.flush()
            sys.stderr.flush()
        for target, original in enumerate(saved, start=1):
            with contextlib.suppress(OSError):  # a user's code may have closed them
                os.dup2(original, target)
                os.close(original)
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _open_log(log: Path) -> int:
    with explain_write_errors(log):
        return open_to_append(log)
