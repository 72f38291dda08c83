"""One of several processes that train the same recipe at once for a moment; see `race`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from engine.recipe import Recipe
from engine.training.tasks.preparation import prepare_single
from engine.training.tasks.task import Task
from engine.training.trials.facts import load_place
from engine.training.trials.pack_sizes import Place
from engine.training.trials.step_times import prepare_replicas, time_task, warm_up


def answer() -> int:
    """Prepare what standard input asks for, say so, then time some steps at every "go".

    Raises:
        NondetError: Whatever training the recipe would raise at its start.
    """
    request = json.loads(sys.stdin.readline())
    answers_to = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(answers_to, "w", buffering=1) as out, contextlib.redirect_stdout(sys.stderr):
        recipe = msgspec.convert(request["recipe"], Recipe)
        place = load_place(
            recipe,
            root=Path(request["root"]),
            search_path=tuple(map(Path, request["search_path"])),
            graphs=request["graphs"],
        )
        take_time = _prepare(recipe, place)
        out.write(json.dumps("ready") + "\n")
        for _ in sys.stdin:
            out.write(json.dumps(take_time()) + "\n")
    return 0


def _prepare(recipe: Recipe, place: Place) -> Callable[[], float]:
    """Return what times an epoch of a run: its share of a pack's where it is trained in one."""
    where: dict[str, Any] = {"device": place.device, "search_path": place.search_path}
    task: Task[Any]
    if recipe.pack is None:
        task = prepare_single(recipe, place.data, **where)
    else:
        task = prepare_replicas(recipe, place.data, graphs=place.graphs, **where)
    warm_up(task, place.device)
    return lambda: time_task(task, place.device) / task.replicas
