"""A worker's packs: runs that are claimed together, trained at once, and each left behind as if it had been alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from engine.dispatch.queue import NotTaken
from engine.recipe import Recipe
from engine.study.epochs import EpochRecord, append_epoch
from engine.study.files import write_bytes
from engine.study.run_records import read_recipe, write_exit
from engine.training.checkpoint import Checkpoint, CheckpointPolicy
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.full_store import patiently
from engine.training.resumption import find_latest_epoch, find_start
from engine.training.run_files import Claimed, write_result
from engine.training.stacked.pack_run import train_pack

LOG = logging.getLogger(__name__)

ClaimMore = Callable[[Sequence[str]], Claimed | NotTaken]
"""Claims one of some runs."""


class StopRequests(Protocol):
    """What has been asked of this worker."""

    def must_stop_all(self, run_ids: Sequence[str]) -> bool: ...
    def look(self) -> Any: ...


def gather(company: list[Claimed], recipe: Recipe, claim_more: ClaimMore) -> None:
    """Claim companions for a run until its pack is full or none is left.

    Only runs that go on from the same epoch: a pack has one place in the schedule.

    Args:
        company: Holds the first run; is filled up here, so that whoever called knows of every claim.
        recipe: Of the first run.
        claim_more: See `ClaimMore`.
    """
    assert recipe.pack is not None, "only packs have companions"
    first = company[0]
    key, epoch = first.plan.packs.get(first.run_id), find_latest_epoch(first.run, recipe)
    open_runs = [
        run_id for run_id in first.plan.order if run_id != first.run_id and first.plan.packs.get(run_id) == key
    ]
    while open_runs and len(company) < recipe.pack.size:
        run_id = open_runs.pop(0)
        run = first.study.run(run_id)
        if run.result.exists() or find_latest_epoch(run, read_recipe(run, run_id)) != epoch:
            continue
        claimed = claim_more([run_id])
        if isinstance(claimed, Claimed):
            company.append(claimed)


def train_company(company: Sequence[Claimed], data: Dataset | Corpus, requests: StopRequests) -> None:
    """Train some claimed runs at once and write each one's result.

    Raises:
        Stopped: If all of them, or the worker, are to stop.
    """
    recipes = [read_recipe(member.run, member.run_id) for member in company]
    names = [member.run_id for member in company]
    head = company[0].attempt
    for member in company[1:]:
        note = f"trained in a pack with run {names[0]}, whose log this is: {head.log}\n".encode()
        patiently(lambda log=member.attempt.log, note=note: write_bytes(log, note))
    LOG.info("%d runs in a pack of %d: %s", len(names), recipes[0].pack.size if recipes[0].pack else 0, " ".join(names))

    def on_epoch(slot: int, record: EpochRecord) -> None:
        patiently(lambda: append_epoch(company[slot].attempt.epochs, record))

    outcomes = train_pack(
        recipes,
        data,
        device=torch.device("cuda:0" if recipes[0].device == "cuda" else "cpu"),
        search_path=company[0].search_path,
        on_epoch=on_epoch,
        resume_from=_find_starts(company, recipes),
        checkpoints=[
            CheckpointPolicy(path=m.attempt.checkpoint, every_s=m.plan.dispatch.checkpoint_s, recipe_id=m.run_id)
            for m in company
        ],
        graphs=company[0].plan.dispatch.graphs,
        should_stop=lambda: requests.must_stop_all(names),
    )
    control = requests.look()
    for member, outcome in zip(company, outcomes, strict=True):
        if control.stops(member.run_id):
            write_exit(member.attempt, "cancelled", "request", "stopped on request")
        else:
            write_result(member, outcome, data)


def _find_starts(company: Sequence[Claimed], recipes: Sequence[Recipe]) -> list[Checkpoint]:
    """States of all of them at the end of the same epoch; none where they are not there."""
    found = [find_start(m.study, m.run, m.attempt, recipe) for m, recipe in zip(company, recipes, strict=True)]
    starts = [checkpoint for checkpoint in found if checkpoint is not None]
    if len(starts) == len(company) and len({checkpoint.epoch for checkpoint in starts}) == 1:
        return starts
    for member in company:
        member.attempt.epochs.unlink(missing_ok=True)
    return []
