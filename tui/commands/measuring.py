"""A study's measures, brought up to date by the process that measures; nothing is computed here."""

from __future__ import annotations

import subprocess

from engine.dispatch.children import command
from engine.errors import StudyError
from engine.study.measured import MeasuredStudy, decode_measured
from engine.study.paths import StudyPaths


def refresh_metrics(paths: StudyPaths) -> MeasuredStudy | None:
    """Compute the measures of all finished runs in another process; where nothing changed, that is quick.

    Returns:
        The measures, where the study's own files cannot be brought up to date; None where they are.

    Raises:
        StudyError: If that fails, with what the process said.
    """
    done = subprocess.run(command("engine.metrics", str(paths.folder)), capture_output=True, cwd="/", check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise StudyError(said or f"measuring {paths.folder} ended with exit status {done.returncode}")
    return decode_measured(done.stdout) if done.stdout else None
