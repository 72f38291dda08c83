"""Measures, pairs and comparisons, asked of the process that measures; nothing is computed here."""

from __future__ import annotations

import subprocess
from typing import TypeVar

from engine.dispatch.children import command
from engine.errors import StudyError
from engine.study.measured import MeasuredStudy, decode_measured
from engine.study.paths import StudyPaths
from engine.study.records import Record, decode_record

R = TypeVar("R", bound=Record)


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


def ask(kind: type[R], *arguments: str, content: bytes | None = None) -> R:
    """Return what the process answers that is asked for something of a study's arms.

    Args:
        kind: What it answers with.
        arguments: The question.
        content: What it reads on standard input.

    Raises:
        StudyError: If it cannot answer, with what it said.
    """
    done = subprocess.run(
        command("engine.metrics", *arguments), input=content, capture_output=True, cwd="/", check=False
    )
    found = decode_record(done.stdout, kind) if done.returncode == 0 else done.stderr.decode(errors="replace")
    if isinstance(found, str):
        raise StudyError(found.strip() or f"comparing ended with exit status {done.returncode}")
    return found
