"""A study's metrics.json, brought up to date by the process that measures; nothing is computed here."""

from __future__ import annotations

import subprocess

from engine.dispatch.children import command
from engine.errors import StudyError
from engine.study.metrics_record import StudyMeasures
from engine.study.metrics_record import read_metrics as read_record
from engine.study.paths import StudyPaths


def refresh_metrics(paths: StudyPaths) -> None:
    """Compute the measures of all finished runs in another process; where nothing changed, that is quick.

    Raises:
        StudyError: If that fails, with what the process said.
    """
    done = subprocess.run(
        command("engine.metrics", str(paths.folder)), capture_output=True, text=True, cwd="/", check=False
    )
    if done.returncode != 0:
        raise StudyError(done.stderr.strip() or f"measuring {paths.folder} ended with exit status {done.returncode}")


def read_metrics(paths: StudyPaths) -> StudyMeasures:
    """Return the content of metrics.json.

    Raises:
        StudyError: If it is missing or damaged.
    """
    content = read_record(paths.metrics)
    if not isinstance(content, StudyMeasures):
        raise StudyError(f"{paths.metrics}: is missing or damaged: `nondet-tui report {paths.folder}` writes it anew")
    return content
