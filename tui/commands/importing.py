"""`import`: a study of predictions that are there already, read by a process of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.dispatch.children import command
from engine.errors import EXIT_OK, NondetError, StudyError
from engine.protocol.checks import arm_name, folder_name
from engine.protocol.faults import show_path, show_value
from engine.study.measured import read_measured
from engine.study.paths import StudyPaths, find_store
from tui.commands.measuring import refresh_metrics
from tui.commands.output import print_results


def import_study(study: str, arms: Sequence[str], *, store: str | None, labels: str | None, kind: str) -> int:
    """Import predictions as a study, measure them and print the table.

    Args:
        study: Its name.
        arms: Texts ARM=PATH.
        store: The folder of all studies.
        labels: The file of true classes; None where one lies beside the predictions.
        kind: logits, probabilities, classes or scores.

    Raises:
        NondetError: If a name is none, or something cannot be read.
    """
    problem = folder_name.find_problem(study)
    if problem is not None:
        raise NondetError(f"nondet-tui: {show_value(study)}: the study's name {problem}")
    paths = StudyPaths(find_store(store).resolve() / study)
    request = {"folder": str(paths.folder), "arms": read_arms(arms), "kind": kind}
    if labels is not None:
        request["labels"] = str(_find(labels))
    done = subprocess.run(
        command("engine.training", "import"),
        input=msgspec.json.encode(request),
        capture_output=True,
        cwd="/",
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise StudyError(f"nothing was imported: {said.rpartition(' root: ')[2] or 'its process was ended'}")
    measured = refresh_metrics(paths) or read_measured(paths)
    print_results(paths, measured, as_json=False)
    return EXIT_OK


def read_arms(arms: Sequence[str]) -> dict[str, str]:
    """Return the path of each arm by its name.

    Raises:
        NondetError: If a text is not ARM=PATH, or a path is not there.
    """
    found: dict[str, str] = {}
    for text in arms:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise NondetError(f"nondet-tui: {show_value(text)}: write ARM=PATH, such as Baseline=runs/baseline")
        problem = arm_name.find_problem(name)
        if problem is not None:
            raise NondetError(f"nondet-tui: {show_value(name)}: an arm's name {problem}")
        if name in found:
            raise NondetError(f"nondet-tui: {show_value(name)}: names two arms: give each its own name")
        found[name] = str(_find(path))
    return found


def _find(path: str) -> Path:
    found = Path(path).expanduser().absolute()
    if not found.exists():
        raise NondetError(f"nondet-tui: {show_path(path)}: there is no such file or folder")
    return found
