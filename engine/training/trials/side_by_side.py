"""One of several processes that train the same recipe at once for a moment; see `race`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.dispatch.jobs import EXIT_NO_ROOM
from engine.recipe import Recipe
from engine.training.memory import is_out_of_memory
from engine.training.room import find_room
from engine.training.tasks.preparation import prepare
from engine.training.tasks.task import Task
from engine.training.trials.answering import answer_on_stdout
from engine.training.trials.facts import set_up
from engine.training.trials.step_times import prepare_replicas, time_task, warm_up
from engine.training.trials.workbench import Workbench
from engine.tuning.messages import Go, Ready, RivalRequest, RivalTime, decode_message, encode_message


def answer() -> int:
    """Prepare what the `RivalRequest` on standard input asks for, say so, then time some steps at every `Go`.

    Returns:
        The exit status, which tells a lack of memory from other ends.

    Raises:
        NondetError: Whatever training the recipe would raise at its start.
    """
    try:
        return _answer()
    except Exception as error:  # whatever a user's code makes of a lack of memory
        if not is_out_of_memory(error):
            raise
        return EXIT_NO_ROOM


def _answer() -> int:
    request = decode_message(sys.stdin.readline(), RivalRequest)
    with answer_on_stdout() as out:
        take_time = _prepare(
            request.recipe, set_up(request.recipe, request.surroundings), request.surroundings.side_by_side
        )
        out.write(encode_message(Ready()) + "\n")
        for line in sys.stdin:
            decode_message(line, Go)
            out.write(encode_message(RivalTime(seconds=take_time())) + "\n")
    return 0


def _prepare(recipe: Recipe, bench: Workbench, wanted: int | str) -> Callable[[], float]:
    """Return what times an epoch of a run: its share where several are trained at once, in a pack or side by side."""
    task = prepare_rival(recipe, bench, wanted)
    warm_up(task, bench.device)
    return lambda: time_task(task, bench.device) / task.replicas


def prepare_rival(recipe: Recipe, bench: Workbench, wanted: int | str) -> Task[Any]:
    """Build what a worker would train at once.

    Args:
        recipe: The recipe of one of its runs.
        bench: What it is trained on.
        wanted: Single runs on a GPU; "auto" for as many as fit into memory.
    """
    if recipe.pack is not None:
        return prepare_replicas(recipe, bench)
    if bench.device.type != "cuda" or recipe.neighbours is None:
        return bench.prepare_single(recipe)
    count = find_room(recipe, bench.data, bench.search_path) if isinstance(wanted, str) else wanted
    runs = [replace(recipe, seeds=replace(recipe.seeds, init=seed), bit=None) for seed in range(1, count + 1)]
    return prepare(runs, bench.data, device=bench.device, search_path=bench.search_path, graphs=bench.graphs)
