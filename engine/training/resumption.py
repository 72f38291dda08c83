"""Finds where a run starts: at its first epoch, an earlier attempt's checkpoint, or the end of a common beginning."""

from __future__ import annotations

import logging
from functools import partial

from engine.recipe import Recipe
from engine.study.epochs import EpochRecord, append_epoch, format_epoch, read_epochs
from engine.study.files import make_folder, write_bytes
from engine.study.opening import is_there
from engine.study.paths import AttemptPaths, ForkPaths, RunPaths, StudyPaths
from engine.training.checkpoint import Checkpoint, CheckpointPolicy, load_checkpoint
from engine.training.full_store import patiently

LOG = logging.getLogger(__name__)


def find_start(study: StudyPaths, run: RunPaths, attempt: AttemptPaths, recipe: Recipe) -> Checkpoint | None:
    """Return the latest state to go on from, and copy the epochs before it into this attempt's file; None for none."""
    candidates = [*_own_checkpoints(run, attempt, recipe), *_common_beginnings(study, recipe)]
    for checkpoint, records, origin in sorted(candidates, key=lambda found: -found[0].epoch):
        by_epoch = {record.epoch: record for record in records}
        wanted = range(1, checkpoint.epoch + 1)
        if not all(epoch in by_epoch for epoch in wanted):
            continue
        for epoch in wanted:
            patiently(partial(append_epoch, attempt.epochs, by_epoch[epoch]))
        LOG.info("going on from the end of epoch %d of %s", checkpoint.epoch, origin)
        return checkpoint
    return None


def find_states(study: StudyPaths, run: RunPaths, recipe: Recipe) -> dict[int, Checkpoint]:
    """Return every state of a run that is kept, by the epoch at whose end it was: its own, or of its beginning."""
    found = [load_checkpoint(other.checkpoint, recipe_id=recipe.id) for other in run.list_attempts()]
    found += [checkpoint for checkpoint, _, _ in _common_beginnings(study, recipe)]
    return {checkpoint.epoch: checkpoint for checkpoint in found if checkpoint is not None}


Found = tuple[Checkpoint, tuple[EpochRecord, ...], str]


def _own_checkpoints(run: RunPaths, attempt: AttemptPaths, recipe: Recipe) -> list[Found]:
    """Return the checkpoints that earlier attempts at this run left."""
    if recipe.lowlevel == "kernels":
        return []  # another process would choose other kernels: the result would not be one training's
    found: list[Found] = []
    for other in run.list_attempts():
        checkpoint = load_checkpoint(other.checkpoint, recipe_id=recipe.id) if other.number < attempt.number else None
        if checkpoint is not None:
            found.append((checkpoint, read_epochs(other.epochs).records, f"attempt {other.number}"))
    return found


def _common_beginnings(study: StudyPaths, recipe: Recipe) -> list[Found]:
    """Return states of the run's prefix, at its onset or before, that this or another run left."""
    if recipe.onset is None:
        return []
    prefix_id = recipe.prefix.id
    found: list[Found] = []
    for fork in study.list_forks(prefix_id):
        checkpoint = load_checkpoint(fork.checkpoint, recipe_id=prefix_id)
        if checkpoint is not None and checkpoint.epoch <= recipe.onset.epoch:
            found.append((checkpoint, read_epochs(fork.epochs).records, "the common beginning"))
    return found


class Fork(CheckpointPolicy):
    """Saves the state at an onset under the name of the prefix, with the epochs that led there."""

    def __init__(self, fork: ForkPaths, attempt: AttemptPaths, recipe_id: str) -> None:
        """Take note of where to write to."""
        super().__init__(path=fork.checkpoint, every_s=0.0, recipe_id=recipe_id)
        self.fork, self.attempt = fork, attempt

    def save(self, checkpoint: Checkpoint) -> None:
        """Write the epochs first: the state is what other runs look for."""
        if is_there(self.fork.checkpoint):
            return
        records = read_epochs(self.attempt.epochs).records[: checkpoint.epoch]
        content = b"".join(format_epoch(record) for record in records)
        patiently(lambda: make_folder(self.fork.checkpoint.parent))
        patiently(lambda: write_bytes(self.fork.epochs, content))
        super().save(checkpoint)


def make_fork(study: StudyPaths, attempt: AttemptPaths, recipe: Recipe) -> Fork | None:
    """Return what saves the beginning of a run with an onset; None for others."""
    if recipe.onset is None:
        return None
    prefix_id = recipe.prefix.id
    return Fork(study.fork(prefix_id, recipe.onset.epoch), attempt, prefix_id)
