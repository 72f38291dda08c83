"""A cohort: the runs that a worker claims together and trains at once, each left behind as if it had been alone.

It is a single run, as many runs as a pack holds, or on a GPU some single runs side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import torch

from engine.dispatch.queue import NotTaken
from engine.errors import NondetError, StudyError, summarise_error
from engine.recipe import Recipe
from engine.study.epochs import EpochRecord, append_epoch
from engine.study.files import remove_file, write_bytes
from engine.study.opening import is_there
from engine.study.run_records import read_recipe, write_exit
from engine.study.run_state import count_tries
from engine.training.checkpoint import Checkpoint, CheckpointPolicy
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.full_store import patiently
from engine.training.loop import Outcome, train_runs
from engine.training.resumption import find_start, find_states, make_fork
from engine.training.run_files import Claimed, write_result
from engine.training.stopping import Leaving, Requests, Stopped
from engine.training.twins import evaluate_twin

LOG = logging.getLogger(__name__)

ClaimMore = Callable[[Sequence[str]], Claimed | NotTaken]
"""Claims one of some runs."""


def gather(cohort: list[Claimed], recipe: Recipe, claim_more: ClaimMore, *, session: str, side_by_side: int) -> None:
    """Claim companions for a run until its pack is full, or enough runs are there side by side, or none is left.

    Only runs that go on from the same epoch are claimed: a cohort has one place in the schedule. Single runs that were
    tried more often than others are apart from them, so that an error comes to the same few again; see `room`. One
    whose files are damaged is left to be claimed first, and to be told so.

    Args:
        cohort: Holds the first run; is filled up here, so that whoever called knows of every claim.
        recipe: The recipe of the first run.
        claim_more: See `ClaimMore`.
        session: The session that the attempts belong to.
        side_by_side: How many runs without a pack are wanted.
    """
    first, plan = cohort[0], cohort[0].plan
    wanted = side_by_side if recipe.pack is None else recipe.pack.size
    if wanted == 1:
        return
    epoch = max(find_states(first.study, first.run, recipe), default=0)
    tries = first.count_retries(session)

    def suits(run_id: str) -> bool:
        run = first.study.run(run_id)
        if is_there(run.result):
            return False
        try:
            other = read_recipe(run, run_id)
        except StudyError:
            return False
        if recipe.pack is None:
            alike = other.neighbours == recipe.neighbours and run_id not in plan.reuses
            if not alike or count_tries(run.list_attempts(), session) != tries:
                return False
        return max(find_states(first.study, run, other), default=0) == epoch

    key = plan.packs.get(first.run_id)
    for run_id in [run_id for run_id in plan.order if run_id != first.run_id and plan.packs.get(run_id) == key]:
        if len(cohort) == wanted:
            break
        if suits(run_id):
            claimed = claim_more([run_id])
            if isinstance(claimed, Claimed):
                cohort.append(claimed)


def train_cohort(cohort: Sequence[Claimed], data: Dataset | Corpus, requests: Requests) -> None:
    """Train the claimed runs at once, and write each one's result, or why it ended without one.

    Raises:
        Stopped: If all of them, or the worker, are to stop.
    """
    recipes = [read_recipe(member.run, member.run_id) for member in cohort]
    _note_companions(cohort, recipes[0])
    twin = _evaluate_twin(cohort, recipes, data)
    outcomes = _train(cohort, recipes, data, requests) if twin is None else {0: twin}
    for number, outcome in outcomes.items():
        member = cohort[number]
        # The request came while the companions went on; one that comes after the last step has no effect.
        if requests.control.stops(member.run_id):
            patiently(partial(write_exit, member.attempt, "cancelled", "request", "stopped on request"))
        else:
            write_result(member, outcome, data)


def _note_companions(cohort: Sequence[Claimed], recipe: Recipe) -> None:
    """Say in every log of some companions where their messages are."""
    if len(cohort) == 1 and recipe.pack is None:
        return
    head = cohort[0]
    how = "side by side" if recipe.pack is None else "in a pack"
    for member in cohort[1:]:
        note = f"trained {how} with run {head.run_id}, whose log this is: {head.attempt.log}\n".encode()
        patiently(lambda log=member.attempt.log, note=note: write_bytes(log, note))
    names = " ".join(member.run_id for member in cohort)
    LOG.info("%d runs %s%s: %s", len(cohort), how, "" if recipe.pack is None else f" of {recipe.pack.size}", names)


def _train(
    cohort: Sequence[Claimed], recipes: Sequence[Recipe], data: Dataset | Corpus, requests: Requests
) -> dict[int, Outcome]:
    """Return what each run leaves, by its number; one that ended before its time leaves a record of why."""
    names = [member.run_id for member in cohort]
    ended: set[int] = set()
    counted = 0

    def on_epoch(run: int, record: EpochRecord) -> None:
        nonlocal counted
        patiently(lambda: append_epoch(cohort[run].attempt.epochs, record))
        if requests.pulse is not None and record.epoch > counted:
            counted = record.epoch
            requests.pulse.end_epoch()

    def on_end(run: int, error: Exception) -> None:
        ended.add(run)
        # Another process may go on with this one; whether the others were taken is told by one that is still here.
        requests.attempt = next((m.attempt for number, m in enumerate(cohort) if number not in ended), None)
        end_member(cohort[run], error)

    def should_leave(run: int) -> bool:
        # Those that are held while others go on give up their place, and go on from their checkpoint later.
        return requests.control.stops(names[run]) or requests.control.holds(names[run])

    outcomes = train_runs(
        recipes,
        data,
        device=_device_of(recipes[0]),
        search_path=cohort[0].plan.search_folders,
        on_epoch=on_epoch,
        starts=_find_starts(cohort, recipes),
        checkpoints=[
            CheckpointPolicy(path=m.attempt.checkpoint, every_s=m.plan.dispatch.checkpoint_s, recipe_id=m.run_id)
            for m in cohort
        ],
        forks=[make_fork(m.study, m.attempt, recipe) for m, recipe in zip(cohort, recipes, strict=True)],
        graphs=cohort[0].plan.dispatch.graphs,
        sketches=cohort[0].plan.metrics.sketches,
        should_stop=lambda: requests.must_stop([name for run, name in enumerate(names) if run not in ended]),
        leaving=Leaving(on_end, should_leave),
    )
    return dict(zip((run for run in range(len(cohort)) if run not in ended), outcomes, strict=True))


def end_member(member: Claimed, error: Exception) -> None:
    """Record why one of several runs has ended, while the others go on."""
    if isinstance(error, Stopped):
        reason = f"stopped on request, while others went on in its process: {member.run_id}"
        patiently(partial(write_exit, member.attempt, "cancelled", "request", reason))
        return
    LOG.error("run %s failed, the others go on", member.run_id, exc_info=error)
    reason = str(error) if isinstance(error, NondetError) else summarise_error(error)
    patiently(partial(write_exit, member.attempt, "failed", "fault", reason))


def _evaluate_twin(cohort: Sequence[Claimed], recipes: Sequence[Recipe], data: Dataset | Corpus) -> Outcome | None:
    """Return what a run leaves whose weights another run has trained; None where there are no such weights."""
    member = cohort[0]
    twin = member.plan.reuses.get(member.run_id)
    if twin is None or not isinstance(data, Dataset):
        return None
    return evaluate_twin(
        member.study.run(twin),
        member.attempt,
        recipes[0],
        data,
        device=_device_of(recipes[0]),
        search_path=member.plan.search_folders,
    )


def _device_of(recipe: Recipe) -> torch.device:
    return torch.device("cuda:0" if recipe.device == "cuda" else "cpu")


def _find_starts(cohort: Sequence[Claimed], recipes: Sequence[Recipe]) -> list[Checkpoint]:
    """Return states of all of them at the end of the same epoch; none where they are not there."""
    found = [find_start(m.study, m.run, m.attempt, recipe) for m, recipe in zip(cohort, recipes, strict=True)]
    starts = [checkpoint for checkpoint in found if checkpoint is not None]
    if len(starts) == len(cohort) and len({checkpoint.epoch for checkpoint in starts}) == 1:
        return starts
    for member in cohort:
        patiently(partial(remove_file, member.attempt.epochs))
    return []
