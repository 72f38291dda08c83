"""The JSON files of a study as tests write them by hand: the one place that knows their keys.

Each function fills in what a test does not care about; a test names what it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engine.recipe import Recipe
from engine.study.files import make_folder, write_json
from engine.study.paths import AttemptPaths, RunPaths, StudyPaths
from engine.study.processes import Owner, current_owner

DISPATCH = {"devices": "cpu", "slots_per_device": 1, "keep_weights": True, "checkpoint_s": 60.0}
METRICS = {"bootstrap": 0, "cka": False, "cka_examples": 10}


def make_arm(name: str, vary: Sequence[str], runs: Iterable[str], **changes: Any) -> dict[str, Any]:
    """Make an arm of plan.json."""
    frame = {"empty": {}, "group": 1, "onset": None, "crossed": []}
    return {"name": name, "vary": list(vary), "runs": list(runs)} | frame | changes


def make_plan(study: str, arms: Sequence[dict[str, Any]], *, epochs: int = 1, **changes: Any) -> dict[str, Any]:
    """Make the content of plan.json: runs in the order of their arms, all of them with as many epochs."""
    order = list(dict.fromkeys(run for arm in arms for run in arm["runs"]))
    head = {"v": 1, "study": study, "device": "cpu", "text": False, "own_process": False}
    extras = {
        "data_root": "/nonexistent",
        "search_path": [],
        "dispatch": DISPATCH,
        "metrics": METRICS,
        "provenance": {},
    }
    runs = {"order": order, "epochs": dict.fromkeys(order, epochs), "forks": {}, "reuses": {}, "packs": {}}
    return head | extras | {"arms": list(arms)} | runs | changes


def write_plan(paths: StudyPaths, arms: Sequence[dict[str, Any]], **changes: Any) -> None:
    """Write plan.json and its folder; see `make_plan`."""
    make_folder(paths.folder)
    write_json(paths.plan, make_plan(paths.folder.name, arms, **changes))


def write_spec(run: RunPaths, recipe: Recipe | None = None) -> None:
    """Write spec.json of a run, with a recipe that can be read back or with none."""
    make_folder(run.folder)
    content = {} if recipe is None else recipe.to_dict()
    write_json(run.spec, {"v": 1, "run": run.folder.name, "recipe": content})


def write_result(run: RunPaths, **changes: Any) -> None:
    """Write result.json of a run that ended well."""
    make_folder(run.folder)
    head = {"v": 1, "run": run.folder.name, "attempt": 1, "diverged": False, "weights_sha256": "0" * 64}
    write_json(run.result, head | changes)


def write_attempt(attempt: AttemptPaths, *, owner: Owner | None = None, session: str = "s", **changes: Any) -> None:
    """Write attempt.json, of this process where no owner is named."""
    make_folder(attempt.folder)
    owner = owner or current_owner()
    write_json(attempt.attempt, {"v": 1, "owner": owner.to_dict(), "session": session} | changes)


def write_ending(attempt: AttemptPaths, **content: Any) -> None:
    """Write exit.json of an attempt that ended without a result."""
    write_json(attempt.exit, {"v": 1} | content)


def write_supervisor(
    paths: StudyPaths, *, owner: Owner | None = None, slots: Sequence[dict[str, Any]] = (), **changes: Any
) -> None:
    """Write supervisor.json, of this process where no owner is named."""
    owner = owner or current_owner()
    head = {"v": 1, "owner": owner.to_dict(), "session": "s", "state": "running", "slots": list(slots)}
    write_json(paths.supervisor, head | {"failure": None} | changes)


def write_metrics(paths: StudyPaths, arms: Sequence[dict[str, Any]]) -> None:
    """Write metrics.json with the measures of some arms."""
    write_json(paths.metrics, {"v": 1, "study": paths.folder.name, "arms": list(arms)})


def write_curves(paths: StudyPaths, arms: Sequence[dict[str, Any]]) -> None:
    """Write curves.json with the curves of some arms."""
    write_json(paths.curves, {"v": 1, "study": paths.folder.name, "arms": list(arms)})


def write_similarity(paths: StudyPaths, arm: str, layers: Sequence[dict[str, Any]]) -> None:
    """Write cka.json with the layers of one arm."""
    make_folder(paths.folder)
    write_json(paths.cka, {"v": 1, "arms": [{"name": arm, "layers": list(layers)}]})


def make_measures(name: str, vary: Sequence[str], **figures: Any) -> dict[str, Any]:
    """Make an arm's entry of metrics.json: counts of an arm that is done, and the figures that are named."""
    counts = {"planned": 12, "finished": 12, "n": 12, "diverged": 0, "damaged": 0}
    head = {"name": name, "vary": list(vary), "text": False, "identical_weights": not vary, "reasons": {}}
    return head | counts | figures
