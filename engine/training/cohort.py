"""A cohort: the runs that a worker claims together and trains at once, each left behind as if it had been alone.

It is a single run, or as many runs as a pack holds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import torch

from engine.dispatch.queue import NotTaken
from engine.recipe import Recipe
from engine.study.epochs import EpochRecord, append_epoch
from engine.study.files import remove_file, write_bytes
from engine.study.opening import is_there
from engine.study.run_records import read_recipe, write_exit
from engine.training.checkpoint import Checkpoint, CheckpointPolicy
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.full_store import patiently
from engine.training.loop import Outcome, train_runs
from engine.training.resumption import find_latest_epoch, find_start, make_fork
from engine.training.run_files import Claimed, write_result
from engine.training.stopping import Requests
from engine.training.twins import evaluate_twin

LOG = logging.getLogger(__name__)

ClaimMore = Callable[[Sequence[str]], Claimed | NotTaken]
"""Claims one of some runs."""


def gather(cohort: list[Claimed], recipe: Recipe, claim_more: ClaimMore) -> None:
    """Claim companions for a run until its pack is full or none is left; a run without a pack has none.

    Only runs that go on from the same epoch are claimed: a pack has one place in the schedule.

    Args:
        cohort: Holds the first run; is filled up here, so that whoever called knows of every claim.
        recipe: The recipe of the first run.
        claim_more: See `ClaimMore`.
    """
    if recipe.pack is None:
        return
    first = cohort[0]
    key, epoch = first.plan.packs.get(first.run_id), find_latest_epoch(first.run, recipe)
    open_runs = [
        run_id for run_id in first.plan.order if run_id != first.run_id and first.plan.packs.get(run_id) == key
    ]
    while open_runs and len(cohort) < recipe.pack.size:
        run_id = open_runs.pop(0)
        run = first.study.run(run_id)
        if is_there(run.result) or find_latest_epoch(run, read_recipe(run, run_id)) != epoch:
            continue
        claimed = claim_more([run_id])
        if isinstance(claimed, Claimed):
            cohort.append(claimed)


def train_cohort(cohort: Sequence[Claimed], data: Dataset | Corpus, requests: Requests) -> None:
    """Train the claimed runs at once, and write each one's result.

    Raises:
        Stopped: If all of them, or the worker, are to stop.
    """
    recipes = [read_recipe(member.run, member.run_id) for member in cohort]
    _note_pack(cohort, recipes[0])
    outcomes = _evaluate_twin(cohort, recipes, data) or _train(cohort, recipes, data, requests)
    for member, outcome in zip(cohort, outcomes, strict=True):
        # The request came while the companions went on; one that comes after the last step has no effect.
        if requests.control.stops(member.run_id):
            patiently(partial(write_exit, member.attempt, "cancelled", "request", "stopped on request"))
        else:
            write_result(member, outcome, data)


def _note_pack(cohort: Sequence[Claimed], recipe: Recipe) -> None:
    """Say in every log of a pack where its messages are."""
    if recipe.pack is None:
        return
    head = cohort[0]
    for member in cohort[1:]:
        note = f"trained in a pack with run {head.run_id}, whose log this is: {head.attempt.log}\n".encode()
        patiently(lambda log=member.attempt.log, note=note: write_bytes(log, note))
    names = " ".join(member.run_id for member in cohort)
    LOG.info("%d runs in a pack of %d: %s", len(cohort), recipe.pack.size, names)


def _train(
    cohort: Sequence[Claimed], recipes: Sequence[Recipe], data: Dataset | Corpus, requests: Requests
) -> list[Outcome]:
    names = [member.run_id for member in cohort]

    def on_epoch(run: int, record: EpochRecord) -> None:
        patiently(lambda: append_epoch(cohort[run].attempt.epochs, record))
        if requests.pulse is not None and run == 0:
            requests.pulse.end_epoch()

    return train_runs(
        recipes,
        data,
        device=_device_of(recipes[0]),
        search_path=cohort[0].search_path,
        on_epoch=on_epoch,
        starts=_find_starts(cohort, recipes),
        checkpoints=[
            CheckpointPolicy(path=m.attempt.checkpoint, every_s=m.plan.dispatch.checkpoint_s, recipe_id=m.run_id)
            for m in cohort
        ],
        forks=[make_fork(m.study, m.attempt, recipe) for m, recipe in zip(cohort, recipes, strict=True)],
        graphs=cohort[0].plan.dispatch.graphs,
        should_stop=lambda: requests.must_stop(names),
    )


def _evaluate_twin(
    cohort: Sequence[Claimed], recipes: Sequence[Recipe], data: Dataset | Corpus
) -> list[Outcome] | None:
    """Return what a run leaves whose weights another run has trained; None where there are no such weights."""
    member = cohort[0]
    twin = member.plan.reuses.get(member.run_id)
    if twin is None or not isinstance(data, Dataset):
        return None
    found = evaluate_twin(
        member.study.run(twin),
        member.attempt,
        recipes[0],
        data,
        device=_device_of(recipes[0]),
        search_path=member.search_path,
    )
    return None if found is None else [found]


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
