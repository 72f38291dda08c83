"""Lists what a user's program is started with: its words, its environment, and what is noted of both."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from engine.catalog.placeholders import CHECKPOINT, EVERYTHING, SEED_PREFIX, fill_in
from engine.dispatch.devices import name_device
from engine.recipe import CommandRecipe, Recipe
from engine.study.processes import current_owner
from engine.study.run_records import AttemptRecord, Versions, tell_time
from engine.study.study_plan import CommandSettings, StudyPlan
from engine.training.scheduler import name_job

OUT = "out"
"""The folder in an attempt's that is the program's {out}."""

FIXED = {
    # Sets and dictionaries of text come in another order in every process without it.
    "PYTHONHASHSEED": "0",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "PYTHONUNBUFFERED": "1",
}

NOTED = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", *FIXED)

LISTING_S = 60.0
"""How long an interpreter may take to list its packages."""

LIST_PACKAGES = (
    "import importlib.metadata as m, json, platform; print(json.dumps({'python': platform.python_version(), "
    "'packages': {d.metadata['Name']: d.version for d in m.distributions() if d.metadata['Name']}}))"
)


def make_words(
    recipe: CommandRecipe, settings: CommandSettings, out: Path, checkpoint: Path | None = None
) -> list[str]:
    """Return the words of the command line; with a checkpoint, also those that let the program go on from it."""
    values = make_values(recipe, settings, out)
    words = [fill_in(word, values) for word in recipe.words]
    if checkpoint is None:
        return words
    return words + [fill_in(word, values | {CHECKPOINT: str(checkpoint)}) for word in settings.resume]


def make_values(recipe: CommandRecipe, settings: CommandSettings, out: Path) -> dict[str, str]:
    """Return what stands for each placeholder."""
    values = {"python": settings.python, "out": str(out)}
    for source, seed in recipe.seeds:
        values[source if source == EVERYTHING else f"{SEED_PREFIX}{source}"] = str(seed)
    if recipe.replica is not None:
        values["replica"] = str(recipe.replica)
    return values | {f"arm.{name}": _show(value) for name, value in recipe.arguments}


def _show(value: object) -> str:
    """Return an argument as a word: true and false as in TOML, numbers in the shortest form."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def make_environment(
    recipe: Recipe, command: CommandRecipe, settings: CommandSettings, out: Path, replica: int
) -> dict[str, str]:
    """Return the program's environment: this process's, what is fixed, what tells it of its run, and the user's own."""
    seeds = {
        f"NONDET_SEED{'' if source == EVERYTHING else f'_{source.upper()}'}": str(n) for source, n in command.seeds
    }
    own = {
        "NONDET_OUT": str(out),
        "NONDET_REPLICA": str(replica),
        "NONDET_DETERMINISTIC": "1" if recipe.lowlevel == "deterministic" else "0",
    }
    values = make_values(command, settings, out)
    chosen = {name: fill_in(value, values) for name, value in command.environment}
    return dict(os.environ) | FIXED | own | seeds | chosen


def number_replica(plan: StudyPlan, run_id: str) -> int:
    """Return the number of a run among the replicas of the first arm that it is of; 1 where it is of none."""
    return next((arm.runs.index(run_id) + 1 for arm in plan.arms if run_id in arm.runs), 1)


def describe_attempt(plan: StudyPlan, session: str, slot: str) -> AttemptRecord:
    """Return who trains, where, and in which environment."""
    found = _list_environment(plan)
    packages: dict[str, str] = found.get("packages", {})
    return AttemptRecord(
        owner=current_owner(),
        session=session,
        slot=slot,
        started=tell_time(),
        device=name_device(plan.device),
        versions=Versions(
            python=found.get("python", platform.python_version()),
            torch=packages.get("torch"),
            numpy=packages.get("numpy"),
        ),
        cpu_capability=platform.machine(),
        environment={name: FIXED.get(name, os.environ.get(name)) for name in NOTED},
        packages=packages,
        job=name_job(),
    )


def _list_environment(plan: StudyPlan) -> dict[str, Any]:
    """Ask the user's interpreter for its version and packages; nothing where it does not say."""
    settings = plan.command
    if settings is None:
        return {}
    try:
        done = subprocess.run(
            [settings.python, "-c", LIST_PACKAGES],
            capture_output=True,
            timeout=LISTING_S,
            check=True,
            cwd=settings.folder,
            stdin=subprocess.DEVNULL,
        )
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
