"""Decides how many single runs a process trains side by side on a GPU: what is asked for, or what memory holds."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from engine.recipe import Recipe
from engine.study.opening import is_there
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_state import MAX_RETRIES
from engine.study.study_plan import StudyPlan
from engine.study.supervisor_record import SupervisorRecord
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.memory import release, try_in_memory
from engine.training.random.seeding import set_kernels
from engine.training.recording.lanes import MOST_LANES
from engine.training.run_files import Claimed
from engine.training.tasks.preparation import prepare_single
from engine.training.tasks.text import TextTask

LOG = logging.getLogger(__name__)

MARGIN = 1.5
"""What a run is reckoned to need, as a multiple of what one step of it and its evaluation took."""

Rooms = dict[str, int]
"""How many runs fit side by side into the memory of this process's GPU, by what they have in common."""


def count_side_by_side(claimed: Claimed, recipe: Recipe, data: Dataset | Corpus, *, session: str, rooms: Rooms) -> int:
    """Return how many runs, a claimed one among them, this process is to train at once, each with its own kernels.

    Args:
        claimed: The run.
        recipe: Its recipe.
        data: Its data.
        session: The session that its attempts belong to.
        rooms: What was found for earlier runs; added to.
    """
    plan, key = claimed.plan, recipe.neighbours
    if recipe.device != "cuda" or key is None or plan.own_process or claimed.run_id in plan.reuses:
        return 1
    wanted = plan.dispatch.side_by_side
    if isinstance(wanted, str):
        if key not in rooms:
            rooms[key] = find_room(recipe, data, claimed.plan.search_folders)
        wanted = rooms[key]
    return reduce_for_retry(min(wanted, share_out(claimed.study, plan)), claimed.count_retries(session))


def reduce_for_retry(wanted: int, tries: int) -> int:
    """Return how many runs to train at once after failures: half as many at each retry, and at the last a run alone.

    So memory that does not suffice, or an error of one run that ends the process of all, ends no other run for good.
    """
    return 1 if tries >= MAX_RETRIES else max(1, wanted >> tries)


def share_out(study: StudyPaths, plan: StudyPlan) -> int:
    """Return how many of the runs that are left come to one worker, so that the last ones find all workers at work."""
    supervisor = find_record(study.supervisor, SupervisorRecord)
    workers = plan.dispatch.workers if supervisor is None else len(supervisor.slots)
    left = sum(not is_there(study.run(run_id).result) for run_id in plan.order)
    return max(1, -(-left // max(1, workers)))


def find_room(recipe: Recipe, data: Dataset | Corpus, search_path: tuple[Path, ...]) -> int:
    """Return how many runs like one fit into the free memory of the GPU, MOST_LANES at most: one takes a step."""
    device = torch.device("cuda:0")
    set_kernels(recipe.lowlevel, recipe.train.precision)
    needed = try_in_memory(lambda: _measure_step(recipe, data.to(device), device, search_path))
    release()
    if needed is None:
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    count = max(1, min(MOST_LANES, int(free / (MARGIN * max(needed, 1)))))
    LOG.info("a step takes %.0f MB of the %.0f MB that are free: %d side by side", needed / 1e6, free / 1e6, count)
    return count


def _measure_step(recipe: Recipe, data: Dataset | Corpus, device: torch.device, search_path: tuple[Path, ...]) -> int:
    """Take a step, of a text on its longest segment, and evaluate a batch.

    Returns:
        The largest memory that was in use beside the data.
    """
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    task = prepare_single(recipe, data, device=device, search_path=search_path, graphs=False)
    task.begin_epoch(1)
    task.take_step(1, task.steps.find_longest() if isinstance(task, TextTask) else 0)
    task.evaluate_part()
    return torch.cuda.max_memory_allocated(device) - before
